"""Worlds with a known truth, for what the guard's statistics promise: numbers in the documentation come from here."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from nightdesk_core.models.pipeline import Backtest
from nightdesk_core.trades import ClosedTrade
from nightdesk_guard.evidence import ALARM, ALTERNATIVES
from numpy.typing import NDArray

DAY = 86_400
LIVE_TRADES = 1_000
BREAK_EVEN = 0.38
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "guard.md"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def table_of(heading: str) -> list[list[float]]:
    """Return the numbers of the rows that begin with one, below a heading of docs/guard.md; percentages as shares."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    numbers = [re.findall(r"(\d[\d.]*)(%?)", row) for row in re.findall(r"^\| \d.*$", section, flags=re.MULTILINE)]
    return [[float(number) / (100 if unit else 1) for number, unit in row] for row in numbers]


def trade(
    number: int = 0,
    *,
    r: float = 2.0,
    guard: str = "normal",
    version: str = "v1",
    fees_r: float = 0.05,
    slippage_r: float = 0.02,
    at: int | None = None,
    risk: float | None = 50.0,
) -> ClosedTrade:
    """Return a trade that earned `r` times its risk of half a percent of the equity."""
    unit = risk or 100.0
    return ClosedTrade(
        symbol="BTC/USDT:USDT",
        side="long",
        quantity=1.0,
        entry_time=number * 3600,
        entry_price=100.0,
        exit_time=number * 3600 + 1800 if at is None else at,
        exit_price=101.0,
        exit_reason="target" if r > 0 else "stop",
        fees=fees_r * unit,
        funding=0.0,
        profit=r * unit,
        equity_before=10_000.0,
        model_version=version,
        slippage=slippage_r * unit,
        risk=risk,
        guard="reduced" if guard == "reduced" else "normal",
    )


def hold_out(
    *, win_rate: float, trades: int, days: int, seed: int, win_r: float = 1.9, loss_r: float = -1.1
) -> Backtest:
    """Return a hold-out with just this win rate, its trades at random hours, no two in the same one."""
    source = np.random.default_rng(seed)
    won = np.arange(trades) < round(win_rate * trades)
    source.shuffle(won)
    hours = np.sort(source.choice(days * 24, trades, replace=False))
    returns = np.zeros(days)
    closed = []
    for number, (hour, is_won) in enumerate(zip(hours.tolist(), won.tolist(), strict=True)):
        r = win_r if is_won else loss_r
        closed.append(trade(number, r=r, at=hour * 3600 + 1800))
        returns[hour // 24] += r * 50 / 10_000
    ends = tuple((day + 1) * DAY for day in range(days))
    return Backtest(0.0, float(days * DAY), ends, tuple(returns.tolist()), tuple(closed))


def wins_in_hold_outs(trades: int, *, win_rate: float, count: int, source: np.random.Generator) -> tuple[Ints, Floats]:
    """Return wins and true win rates, shape (count,), of models that are all alike."""
    return source.binomial(trades, win_rate, size=count), np.full(count, win_rate)


def promoted(trades: int, *, count: int, source: np.random.Generator) -> tuple[Ints, Floats]:
    """Return wins and true win rates, shape (count,), of models that were promoted because they looked good.

    Candidates win as often as break-even on average, with a standard deviation of 5 points; a profit factor of 1.2 on
    the hold-out promotes.
    """
    true = np.clip(source.normal(BREAK_EVEN, 0.05, size=8 * count), 0.05, 0.95)
    wins = source.binomial(trades, true)
    good = wins / (trades - wins) >= 1.2 * BREAK_EVEN / (1 - BREAK_EVEN)
    assert good.sum() >= count
    return wins[good][:count], true[good][:count]


def trades_to_breach(bound: Floats, win_rate: Floats, *, source: np.random.Generator) -> Floats:
    """Return after how many live trades the e-process alarms, infinity for not within 1,000; all of shape (P,)."""
    won = source.random((len(bound), LIVE_TRADES)) < win_rate[:, None]
    wins = np.cumsum(won, axis=1)
    lost = np.arange(1, LIVE_TRADES + 1) - wins
    against = np.zeros(won.shape)
    for share in ALTERNATIVES:
        log_ratio = np.log((1 - share * bound) / (1 - bound))[:, None]
        against += np.exp(np.minimum(wins * math.log(share) + lost * log_ratio, 600.0)) / len(ALTERNATIVES)
    alarmed = against >= ALARM
    return np.where(alarmed.any(axis=1), alarmed.argmax(axis=1) + 1.0, np.inf)
