"""Commands for servers that a person has already: what they need to know of the bots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from nightdesk_core.errors import NightdeskError

from nightdesk.cli.choice import choice, load_settings
from nightdesk.settings import Settings
from nightdesk.terminal import say

if TYPE_CHECKING:
    from nightdesk.render.existing import Existing

app = typer.Typer()

_WITH_ADDRESS = re.compile(r"(?P<name>.+)=(?P<address>[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})")


@app.command()
def rules(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="A folder of their own, which Prometheus can read.")],
    bot: Annotated[
        list[str] | None,
        typer.Option(
            "--bot",
            help="A bot that there should be, by its label `bot`, with the address at which Prometheus reaches it:"
            " NAME=HOST:PORT. NAME alone where you scrape it already. Else that of the settings. Repeatable.",
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
        list[str] | None,
        typer.Option("--without", help="What to leave out: retrain or stack, or both with a comma. Repeatable."),
    ] = None,
) -> None:
    """Write what a Prometheus, Alertmanager, Grafana or Kubernetes of your own needs, all into one folder.

    The alerting rules with the inventory of what there should be, which is missed where Prometheus has nothing of it;
    how the bots are scraped; receivers and routes to merge, by the channels of the settings; dashboards to import; and
    a PrometheusRule and a PodMonitor. The folder belongs to this command from then on: what it wrote before and does
    not write again, it removes.

    Examples: [bold]nightdesk rules --out /etc/prometheus/nightdesk --bot mine=127.0.0.1:8700 --without retrain[/bold]
    [bold]nightdesk rules --out rules --bot mine --job tradebot=crypto --server alertmanager[/bold]
    """
    settings = load_settings(context) if choice(context).file.is_file() else None
    bots = _bots(bot or (), settings)
    if not bots:
        raise NightdeskError("name each bot that there should be: --bot NAME, as in its label `bot` in Prometheus")
    if strangers := sorted(set(retrained or ()) - set(bots)):
        raise NightdeskError(f"--retrained {strangers[0]}: there is no --bot of that name")
    existing = _existing(
        bots, settings, retrained=retrained or (), servers=server or (), jobs=job or (), without=without or ()
    )
    written, changed = _write(existing, out)
    say(f"{written} files in {out}, {changed} of them new or changed")
    for line in _steps(existing, out.absolute()):
        say(line)


def write_for(settings: Settings, out: Path) -> None:
    """Write to a folder what `rules` does for the bots of the settings. Raises as `rules` does."""
    _write(_existing(_bots((), settings), settings), out)


def _write(existing: Existing, out: Path) -> tuple[int, int]:
    """Return how many files were written or hold already, and how many have changed."""
    from nightdesk.assets import assets_folder
    from nightdesk.render.existing import files_for_existing
    from nightdesk.render.files import refuse_others, write_files

    files = files_for_existing(existing, assets_folder(), out=out.absolute())
    refuse_others(out)
    # Prometheus runs as a user of its own, and what is no secret is for it to read.
    shown = {name: file if file.readers == "owner" else replace(file, readers="all") for name, file in files.items()}
    return len(files), len(write_files(out, shown, readers="all"))


def _bots(given: Iterable[str], settings: Settings | None) -> dict[str, str]:
    """Return the addresses of the bots by name; an empty one where somebody scrapes a bot already."""
    found = {}
    for text in given:
        match = _WITH_ADDRESS.fullmatch(text)
        found[match["name"] if match else text] = match["address"] if match else ""
    if not found and settings is not None:
        return settings.stack.bots or {settings.bot.name: settings.address("bot")}
    return found


def _existing(
    bots: dict[str, str],
    settings: Settings | None,
    *,
    retrained: Iterable[str] = (),
    servers: Iterable[str] = (),
    jobs: Iterable[str] = (),
    without: Iterable[str] = (),
) -> Existing:
    from nightdesk_alerts import Alerting

    from nightdesk.channels import Channels, own_channels
    from nightdesk.render.existing import Existing
    from nightdesk.render.prometheus import exporter_access
    from nightdesk.render.rules import Inventory

    return Existing(
        Inventory(tuple(bots), tuple(retrained), tuple(servers)),
        {name: address for name, address in bots.items() if address},
        Channels(Alerting()) if settings is None else own_channels(settings),
        access={} if settings is None else exporter_access(settings),
        jobs=_pairs(jobs),
        without=[part for parts in without for part in parts.split(",")],
    )


def _steps(existing: Existing, out: Path) -> Iterator[str]:
    """Yield what to do with the files, a line each."""
    from nightdesk.render.receivers import FILE
    from nightdesk.render.scraping import SCRAPE_FILE

    yield f"  1. in prometheus.yml:  rule_files: [{out}/*.yml]"
    if existing.targets:
        yield f"     and                 scrape_config_files: [{out / SCRAPE_FILE}]"
    scraped = [f'bot="{name}"' for name in existing.inventory.bots if name not in existing.targets]
    if scraped:
        yield f"  2. each bot is scraped with the labels job and bot: {', '.join(scraped)}"
    else:
        yield "  2. all bots are scraped by that job, with the labels job and bot"
    yield "  3. promtool check config prometheus.yml, then reload Prometheus"
    yield f"  4. add each list of {out / FILE} to the one of that name in alertmanager.yml"
    if not existing.channels.alerting.channels:
        yield "     (the settings name no channel: put yours into its receivers nightdesk-page, -notice and -event)"
    elif secrets := existing.channels.secrets:
        yield f"     and let Alertmanager's user alone read its secrets: {', '.join(sorted(secrets))}"
    yield f"  5. Grafana: Dashboards, New, Import: {out / 'grafana'}/*.json; any data source can be chosen there"
    yield f"  With the Prometheus operator, in place of 1 to 3: kubectl apply -f {out / 'kubernetes'}"


def _pairs(assignments: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for assignment in assignments:
        ours, equals, theirs = assignment.partition("=")
        if not equals:
            raise NightdeskError(f"--job {assignment}: write OURS=YOURS, such as --job tradebot=my-bots")
        pairs[ours] = theirs
    return pairs
