"""Trades and decisions for people and spreadsheets: an aligned table, or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nightdesk_core.clock import iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.text import line
from nightdesk_core.trades import ClosedTrade

from nightdesk.terminal import document, say, table

if TYPE_CHECKING:
    from nightdesk_trendbot.live import DecisionRecord

_FORMULA = ("=", "+", "-", "@")


def written_time(text: str | None) -> int:
    """Return a time that a person wrote, such as `2019-05-01` or `2019-05-01T12:00`, in Unix seconds; UTC; 0 for none.

    Raises `NightdeskError` where it cannot be read.
    """
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NightdeskError(f"--since {text!r} is no time: write 2019-05-01 or 2019-05-01T12:00") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def trade_row(trade: ClosedTrade) -> dict[str, Any]:
    """Return a trade as a row."""
    row = asdict(trade) | {"profit_ratio": trade.profit / trade.equity_before}
    return row | {"entry_time": iso(trade.entry_time), "exit_time": iso(trade.exit_time)}


def decision_row(record: DecisionRecord) -> dict[str, Any]:
    """Return a decision as a row."""
    return asdict(record) | {"time": iso(record.time)}


def show(rows: Sequence[Mapping[str, Any]], *, as_csv: bool) -> None:
    """Print rows that have the same keys. A table rounds numbers to six digits, CSV does not."""
    if not rows:
        say("there is nothing to show", error=True)
        return
    if as_csv:
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
        document(written.getvalue())
        return
    table([name.replace("_", " ") for name in rows[0]], ([_brief(value) for value in row.values()] for row in rows))


def _cell(value: Any) -> Any:
    """Return a value for CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = line(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _brief(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
