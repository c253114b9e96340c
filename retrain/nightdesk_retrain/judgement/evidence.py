"""What a bundle holds beside the model: its hold-out, the verdict and the settings it was made with."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nightdesk_core.files.durable import indented_json
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, read_text
from nightdesk_core.models.bundle import BundleError, Manifest
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade

from nightdesk_retrain.outcome import RetrainOutcome

_RETURNS, _TRADES, _COMMON = "returns.csv", "trades.csv", "common_returns.csv"
_TEXT = ("symbol", "side", "exit_reason", "model_version", "guard")
_WHOLE = ("entry_time", "exit_time")


def evidence(
    backtest: Backtest, common: tuple[Backtest, Backtest] | None, outcome: RetrainOutcome, settings: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the files by which the verdict can be recomputed without fitting anything.

    `common` are candidate and champion on the days that neither has seen.
    """
    days = zip(backtest.days, backtest.daily_returns, strict=True)
    trades = [list(asdict(trade).values()) for trade in backtest.trades]
    return {
        "backtest.json": indented_json(asdict(outcome.candidate), indent=1),
        "evaluation.json": indented_json(outcome.to_json(), indent=1),
        "settings.json": indented_json(settings, indent=1),
        **({"data.json": indented_json(outcome.window.report, indent=1)} if outcome.window.report else {}),
        _RETURNS: _csv(["day_end", "daily_return"], [[day, repr(value)] for day, value in days]),
        _TRADES: _csv(list(ClosedTrade.__dataclass_fields__), trades),
        **({} if common is None else {_COMMON: _common_csv(*common)}),
    }


def _common_csv(candidate: Backtest, champion: Backtest) -> bytes:
    rows = zip(candidate.days, candidate.daily_returns, champion.daily_returns, strict=True)
    return _csv(["day_end", "candidate", "champion"], [[day, repr(ours), repr(theirs)] for day, ours, theirs in rows])


def read_common(folder: Path) -> tuple[list[float], list[float]] | None:
    """Return the daily returns of candidate and champion on their common days; `None` where there were none.

    Raises `BundleError` naming file, row and column where they cannot be read.
    """
    if not (folder / _COMMON).exists():
        return None
    rows = _rows(folder, _COMMON, {"candidate": float, "champion": float})
    return [row["candidate"] for row in rows], [row["champion"] for row in rows]


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """Return one of the bundle's records. Raises `BundleError` where it cannot be read."""
    try:
        found = read_json(folder / name)
    except InputError as error:
        raise BundleError(folder, f"{name} {error.reason}") from error
    if not isinstance(found, dict):
        raise BundleError(folder, f"{name} holds no record")
    return found


def read_holdout(folder: Path) -> Backtest:
    """Return the hold-out in a bundle's folder, as it was judged.

    Raises `BundleError` naming file, row and column where it cannot be read.
    """
    manifest = Manifest.read(folder)
    returns: dict[str, Callable[[str], Any]] = {"day_end": int, "daily_return": float}
    days = _rows(folder, _RETURNS, returns)
    trades = _rows(folder, _TRADES, {name: _reader(name) for name in ClosedTrade.__dataclass_fields__})
    return Backtest(
        start=manifest.train_end.seconds,
        end=manifest.data_end.seconds,
        days=tuple(row["day_end"] for row in days),
        daily_returns=tuple(row["daily_return"] for row in days),
        trades=tuple(ClosedTrade(**row) for row in trades),
    )


def _reader(column: str) -> Callable[[str], Any]:
    if column in _TEXT:
        return str
    if column in _WHOLE:
        return int
    # The one column that may be empty: a trade without a stop.
    return (lambda text: float(text) if text else None) if column == "risk" else float


def _rows(folder: Path, name: str, readers: Mapping[str, Callable[[str], Any]]) -> list[dict[str, Any]]:
    try:
        table = csv.DictReader(io.StringIO(read_text(folder / name)))
    except InputError as error:
        raise BundleError(folder, f"{name} {error.reason}") from error
    if missing := [column for column in readers if column not in (table.fieldnames or ())]:
        reason = f"{name} has no column {', '.join(missing)}: an older release made it; run `nightdesk retrain`"
        raise BundleError(folder, reason)
    rows = []
    for number, row in enumerate(table, start=1):
        found = {}
        for column, reader in readers.items():
            try:
                found[column] = reader(row[column] or "")
            except ValueError as error:
                raise BundleError(folder, f"{name}, row {number}: {column} is {row[column]!r}") from error
        rows.append(found)
    return rows


def _csv(header: list[str], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
