"""Commands for servers that a person has already: what their Prometheus needs to know of the bots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from nightdesk_core.errors import NightdeskError

from nightdesk.cli.choice import choice, load_settings
from nightdesk.terminal import say

app = typer.Typer()


@app.command()
def rules(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="A folder of their own, which Prometheus can read.")],
    bot: Annotated[
        list[str] | None,
        typer.Option(
            "--bot", help="A bot that there should be, by its label `bot`; else that of the settings. Repeatable."
        ),
    ] = None,
    retrained: Annotated[
        list[str] | None, typer.Option("--retrained", help="A bot whose models the retrain job renews. Repeatable.")
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            help="A server to miss: prometheus, alertmanager, pushgateway or desk. Repeatable.",
        ),
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", help="Your name for a job of ours: tradebot=my-bots. Repeatable."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="What to leave out: retrain or stack. Repeatable.")
    ] = None,
) -> None:
    """Write the alerting rules for a Prometheus of your own, with the inventory of what there should be.

    Whatever is in the inventory is missed where Prometheus has nothing of it. The folder belongs to this command from
    then on: what it wrote before and does not write again, it removes.

    Examples: [bold]nightdesk rules --out /etc/prometheus/nightdesk --bot mine --without retrain[/bold]
    [bold]nightdesk rules --out rules --bot mine --job tradebot=crypto --server alertmanager[/bold]
    """
    from nightdesk.assets import assets_folder
    from nightdesk.render.files import refuse_others, write_files
    from nightdesk.render.rules import Inventory, rule_files

    bots = bot or ([load_settings(context).bot.name] if choice(context).file.is_file() else [])
    if not bots:
        raise NightdeskError("name each bot that there should be: --bot NAME, as in its label `bot` in Prometheus")
    if strangers := sorted(set(retrained or ()) - set(bots)):
        raise NightdeskError(f"--retrained {strangers[0]}: there is no --bot of that name")
    inventory = Inventory(tuple(bots), tuple(retrained or ()), tuple(server or ()))
    files = rule_files(assets_folder(), inventory, jobs=_pairs(job or ()), without=without or ())
    refuse_others(out)
    # Prometheus runs as a user of its own, and nothing in the rules is a secret.
    changed = write_files(out, {name: replace(file, readers="all") for name, file in files.items()}, readers="all")
    say(f"{len(files)} files of rules in {out}, {len(changed)} of them new or changed")
    say(f"  1. in prometheus.yml:  rule_files: [{out.absolute()}/*.yml]")
    say("  2. each bot is scraped with the labels job and bot: " + ", ".join(f'bot="{name}"' for name in bots))
    say("  3. promtool check config prometheus.yml, then reload Prometheus")


def _pairs(assignments: list[str] | tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for assignment in assignments:
        ours, equals, theirs = assignment.partition("=")
        if not equals:
            raise NightdeskError(f"--job {assignment}: write OURS=YOURS, such as --job tradebot=my-bots")
        pairs[ours] = theirs
    return pairs
