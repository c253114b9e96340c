"""What a bundle holds beside the model: its hold-out, the verdict and the settings it was made with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nightdesk_core.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade

from nightdesk_retrain.outcome import Outcome


def evidence(backtest: Backtest, outcome: Outcome, settings: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files by which the verdict can be recomputed without fitting anything."""
    days = zip(backtest.days, backtest.daily_returns, strict=True)
    trades = [list(asdict(trade).values()) for trade in backtest.trades]
    return {
        "backtest.json": _json(asdict(outcome.candidate)),
        "evaluation.json": _json(outcome.to_json()),
        "settings.json": _json(settings),
        "returns.csv": _csv(["day_end", "daily_return"], [[day, repr(value)] for day, value in days]),
        "trades.csv": _csv(list(ClosedTrade.__dataclass_fields__), trades),
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _csv(header: list[str], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
