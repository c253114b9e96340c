"""The command that sets a folder up for a bot of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from nightdesk_core.errors import NightdeskError

from nightdesk.terminal import say

app = typer.Typer()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to; it may be there already.")] = Path(),
    bot: Annotated[
        str | None, typer.Option("--bot", help="What the bot is called: mine, unless you are asked.")
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", help="A symbol that it follows, such as BTC/USDT. Repeatable.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option("--timeframe", help="Of its candles: 1m, 1h, 1d.")] = None,
    port: Annotated[int, typer.Option("--port", help="Where its exporter serves.", min=1, max=65535)] = 8700,
    alert: Annotated[
        list[str] | None,
        typer.Option(
            "--alert",
            help="A key of operations.alerts: discord_webhook_url_file=/path, email_recipients=[you@example.org]."
            " Repeatable. A secret only as a file.",
        ),
    ] = None,
) -> None:
    """Set a folder up: `nightdesk.yml`, a bot to start from that runs, and what an existing Prometheus needs.

    At a terminal it asks for what was not given. It overwrites nothing: where one of the files is there already,
    nothing is written.

    Examples: [bold]nightdesk init[/bold]    [bold]nightdesk init desk --bot mine --symbol BTC/USDT[/bold]
    """
    from nightdesk.cli.existing import write_for
    from nightdesk.settings import load
    from nightdesk.start import FILES, SERVERS, Start, alert_values, write_start

    asks = _somebody_is_there()
    values = alert_values(alert or [])
    if asks and not values:
        values = _asked_channel()
    start = Start(
        bot=bot or _asked(asks, "What is the bot called?", "mine"),
        symbols=tuple(symbol or _asked(asks, "Which symbols, with spaces between?", "BTC/USDT").split()),
        timeframe=timeframe or _asked(asks, "Candles of which timeframe?", "1h"),
        port=port,
        alerts=values,
    )
    servers = folder / SERVERS
    write_start(start, folder)
    write_for(load(folder / FILES[0]), servers)
    say(f"wrote {', '.join(str(folder / name) for name in FILES)} and, for servers that you have already, {servers}")
    where = "" if folder == Path() else f"cd {folder} && "
    say(f"  1. {where}python bot.py          it trades at random on paper; put your own bot in its place")
    say("  2. nightdesk check          asks it, and looks at the rest")
    say("  3. nightdesk drill          tries whether alerts reach you")
    say("  4. nightdesk run --servers  Prometheus and Alertmanager; for your own: nightdesk rules --out prometheus")


def _somebody_is_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _asked(asks: bool, question: str, default: str) -> str:
    answer: str = typer.prompt(question, default=default) if asks else default
    return answer


def _asked_channel() -> dict[str, object]:
    from nightdesk_alerts.channels import known_channels

    kinds = {kind.name: kind for kind in known_channels()}
    named = typer.prompt(f"Where do alerts go: {', '.join(kinds)}, or nowhere yet?", default="nowhere")
    if named not in kinds:
        if named != "nowhere":
            raise NightdeskError(f"there is no channel {named!r}: nothing was written")
        return {}
    values: dict[str, object] = {}
    for needed in kinds[named].needed():
        text = typer.prompt(needed.description.rstrip("."), hide_input=needed.secret is not None)
        values[needed.key] = [text] if needed.several else text
    return values
