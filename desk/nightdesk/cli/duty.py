"""Commands of whoever is on duty: the records, the check of a setup, what there is to know."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml
from nightdesk_core.clock import MarketTime
from nightdesk_core.errors import NightdeskError

from nightdesk import home, terminal
from nightdesk.cli.choice import choice, load_settings
from nightdesk.cli.target import BotName, find_or_new
from nightdesk.logbook import without_secrets
from nightdesk.terminal import say

app = typer.Typer()

Symbol = Annotated[str | None, typer.Option("--symbol", help="Only this symbol, as ccxt writes it.")]
Since = Annotated[str | None, typer.Option("--since", help="Market time, UTC: 2019-05-01 or 2019-05-01T12:00.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, in full precision.")]


@app.command()
def trades(
    context: typer.Context,
    symbol: Symbol = None,
    since: Since = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Those that moved no money, while the guard held the bot back, instead.")
    ] = False,
    as_csv: AsCsv = False,
    bot: BotName = None,
) -> None:
    """Print a bot's closed trades, oldest first: those that it keeps in a journal.

    Example: [bold]nightdesk trades --since 2019-05-01 --csv > trades.csv[/bold]
    """
    from nightdesk_core.journal.journal import journal_path, read_journal

    from nightdesk.cli.tables import show, trade_row, written_time

    settings = find_or_new(context, bot).settings
    after = MarketTime(written_time(since) - 1)
    path = journal_path(home.state_dir(settings), settings.bot.name)
    if not path.exists():
        raise NightdeskError(f"there is no journal at {path}: has the bot run, and does it keep one (journal=)?")
    with read_journal(path) as journal:
        found = [trade for trade in journal.trades(closed_after=after, shadow=shadow) if symbol in (None, trade.symbol)]
    show([trade_row(trade) for trade in found], as_csv=as_csv)


@app.command()
def decisions(
    context: typer.Context, symbol: Symbol = None, since: Since = None, as_csv: AsCsv = False, bot: BotName = None
) -> None:
    """Print what the bot decided on each candle and why, oldest first.

    Example: [bold]nightdesk decisions --symbol BTC/USDT:USDT --since 2019-05-01[/bold]
    """
    from nightdesk_trendbot.live import DecisionLog, log_path

    from nightdesk.cli.tables import decision_row, show, written_time

    settings = find_or_new(context, bot).settings
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    show(
        [decision_row(record) for record in log.read(symbol=symbol, since=MarketTime(written_time(since)))],
        as_csv=as_csv,
    )


@app.command()
def check(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out what needs the network.")] = False,
) -> None:
    """Check a whole setup, from the settings to the exchange, and say of each part what to do. Changes nothing.

    Exit code 2 where something is wrong.
    """
    from nightdesk.check.setup import check as check_setup

    settings = load_settings(context)
    say("ok     settings")
    wrong = 0
    for finding in check_setup(settings, settings_file=choice(context).file, offline=offline):
        wrong += bool(finding.trouble)
        said = finding.trouble or finding.remark
        head, *rest = f"{finding.subject}{f': {said}' if said else ''}".splitlines()
        say(f"{'WRONG' if finding.trouble else 'ok':6} {head}")
        for more in rest:  # a checker's own words may take several lines
            say(f"{'':6} {more}")
    raise typer.Exit(2 if wrong else 0)


@app.command("settings")
def show_settings(
    context: typer.Context,
    as_reference: Annotated[
        bool, typer.Option("--reference", help="Print what every key means instead, in Markdown.")
    ] = False,
) -> None:
    """Print every setting as it holds, defaults included, secrets masked."""
    if as_reference:
        from nightdesk.reference import reference

        terminal.document(reference())
        return
    terminal.document(yaml.safe_dump(without_secrets(load_settings(context)), sort_keys=False))


@app.command()
def metrics() -> None:
    """Print what every metric says, in Markdown."""
    from nightdesk_exporter.metrics.reference import reference

    terminal.document(reference())


@app.command()
def alerts(
    context: typer.Context,
    as_reference: Annotated[
        bool, typer.Option("--reference", help="Print all that is to say of every alert instead, in Markdown.")
    ] = False,
    as_csv: AsCsv = False,
) -> None:
    """Print every alert that there is, and which ones the settings silence."""
    if as_reference:
        from nightdesk_alerts.reference import reference

        terminal.document(reference())
        return
    from nightdesk_alerts import silenced
    from nightdesk_alerts.catalogue import ALERTS

    from nightdesk.channels import channels
    from nightdesk.cli.tables import show

    alerting = channels(load_settings(context)).alerting
    unwanted = silenced(alerting) if alerting.enabled else tuple(alert.name for alert in ALERTS)
    rules = [rule for alert in ALERTS for rule in alert.rules]
    rows = [
        {
            "alert": rule.name,
            "severity": rule.severity,
            "summary": rule.summary,
            "silenced": "yes" if rule.name in unwanted else "",
        }
        for rule in rules
    ]
    show(rows, as_csv=as_csv)
