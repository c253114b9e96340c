"""Commands of whoever is on duty: the status, the records."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
import yaml
from nightdesk_core.clock import MarketTime, iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_exporter import is_stale

from nightdesk import home, terminal
from nightdesk.cli.choice import choice, load_settings
from nightdesk.logbook import without_secrets
from nightdesk.settings import Settings
from nightdesk.terminal import say

app = typer.Typer()

_YEAR_10000 = 253_402_300_800

Symbol = Annotated[str | None, typer.Option("--symbol", help="Only this symbol, as ccxt writes it.")]
Since = Annotated[str | None, typer.Option("--since", help="Market time, UTC: 2019-05-01 or 2019-05-01T12:00.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, in full precision.")]


@app.command()
def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print the file as it is.")] = False
) -> None:
    """Print the status file, which of its sections are stale, pending requests for a retrain, and what is silenced.

    Exit code 1 where a section is stale.
    """
    settings = load_settings(context)
    file = home.status_file(settings)
    content = file.read()
    sections = {name: section for name, section in content.items() if isinstance(section, dict)}
    if not sections:
        raise NightdeskError(f"{file.path} says nothing yet: is the bot running?")
    now = system_clock()
    stale = [name for name, section in sections.items() if is_stale(section, now=now)]
    if as_json:
        terminal.document(json.dumps(content, indent=2) + "\n")
    else:
        for name, section in sections.items():
            updated = _moment(section.get("updated_at"))
            when = "an unknown time" if updated is None else iso(updated)
            say(f"{name}  ({'STALE since' if name in stale else 'as of'} {when})")
            for key, value in section.items():
                if key not in ("updated_at", "stale_after"):
                    for number, line in enumerate(_lines(value)):
                        say(f"  {'' if number else key:28} {line}")
        _say_what_is_not_told(settings)
        for request in home.retrain_requests(settings).pending():
            say(f"retrain requested by {request.cause}  ({request.key}, since {iso(request.requested_at)})")
            say(f"  {request.newest_reason}")
    raise typer.Exit(1 if stale else 0)


def _say_what_is_not_told(settings: Settings) -> None:
    """Print each silence and inhibition of a critical alert."""
    from nightdesk.silences import look

    try:
        for line in look(settings).sentences():
            say(line)
    except NightdeskError as error:
        say(f"whether critical alerts are silenced is not known: {error}", error=True)


def _moment(value: Any) -> float | None:
    """Return the seconds of a moment that can be written; None for anything else in its place."""
    return value if type(value) in (int, float) and 0 <= value < _YEAR_10000 else None


def _lines(value: Any) -> list[str]:
    """Return a value for people: of a list of records the last ten, a line each."""
    if isinstance(value, list) and value and all(isinstance(record, dict) for record in value[-10:]):
        return ["  ".join(_brief(field) for field in record.values() if field is not None) for record in value[-10:]]
    return [_brief(value)]


def _brief(value: Any) -> str:
    if value is None:
        return "unknown"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


@app.command()
def trades(
    context: typer.Context,
    symbol: Symbol = None,
    since: Since = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Those that moved no money, while the guard held the bot back, instead.")
    ] = False,
    as_csv: AsCsv = False,
) -> None:
    """Print the bot's closed trades, oldest first.

    Example: [bold]nightdesk trades --since 2019-05-01 --csv > trades.csv[/bold]
    """
    from nightdesk_core.journal.journal import journal_path, read_journal

    from nightdesk.cli.tables import show, trade_row, written_time

    settings = load_settings(context)
    after = MarketTime(written_time(since) - 1)
    path = journal_path(home.state_dir(settings), settings.bot.name)
    if not path.exists():
        raise NightdeskError(f"there is no journal at {path}: has the bot run?")
    with read_journal(path) as journal:
        found = [trade for trade in journal.trades(closed_after=after, shadow=shadow) if symbol in (None, trade.symbol)]
    show([trade_row(trade) for trade in found], as_csv=as_csv)


@app.command()
def decisions(context: typer.Context, symbol: Symbol = None, since: Since = None, as_csv: AsCsv = False) -> None:
    """Print what the bot decided on each candle and why, oldest first.

    Example: [bold]nightdesk decisions --symbol BTC/USDT:USDT --since 2019-05-01[/bold]
    """
    from nightdesk_trendbot.live import DecisionLog, log_path

    from nightdesk.cli.tables import decision_row, show, written_time

    settings = load_settings(context)
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
