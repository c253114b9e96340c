"""Labels: what every breakout came to by the engine's own rules, and how much of it is news.

A label counts only once its barrier was reached: on data that ends earlier there are fewer labels, and none is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from nightdesk_core.units import DAY_SECONDS

from nightdesk_trendbot.compiled import compiled
from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.broker import Order
from nightdesk_trendbot.engine.rules import Rules, barriers_at, costs_at
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import indicators
from nightdesk_trendbot.signals.candles import Bar, Candles, Floats, Ints
from nightdesk_trendbot.signals.regime import allowed_sides
from nightdesk_trendbot.signals.signal import breakout_sides, features


@dataclass(frozen=True)
class Events:
    """E breakouts with their labels, oldest first. Times are market time in Unix seconds."""

    inputs: Floats
    """Shape (E, features)."""
    won: Ints
    """1 where the trade would have earned more than it cost, shape (E,)."""
    decided_at: Ints
    """The close of the bar that broke out, shape (E,)."""
    label_end: Ints
    """The close of the bar that ended the trade, shape (E,)."""
    allowed: np.ndarray
    """Whether the regime let the bot act on it, shape (E,): the model learns from all, its threshold from these."""
    uniqueness: Floats
    """The share (0 to 1] of its time that no other event of its symbol shares, shape (E,)."""

    def __len__(self) -> int:
        return len(self.won)

    def select(self, mask: np.ndarray) -> Events:
        """Return the events where `mask`, shape (E,), is true."""
        return Events(
            self.inputs[mask],
            self.won[mask],
            self.decided_at[mask],
            self.label_end[mask],
            self.allowed[mask],
            self.uniqueness[mask],
        )


def label_events(candles: Candles, settings: TrendbotSettings) -> Events:
    """Return every breakout in one symbol's `candles` whose trade ended within them, labelled by the engine's rules."""
    lengths = indicators.IndicatorBars.of(settings.regime, settings.entry, settings.sizing)
    rows = indicators.compute(candles, lengths)
    sides = breakout_sides(rows, candles.close)
    at = np.flatnonzero(sides)
    volatility = rows[:, indicators.COLUMN["volatility"]] * np.sqrt(DAY_SECONDS / candles.interval_seconds)
    columns = CandleColumns.of(candles)
    profit, end = walk(columns, candles.interval_seconds, at, sides[at], volatility, Rules.of(settings))
    done = end >= 0
    unique = uniqueness(at, np.where(done, end, len(candles) - 1), len(candles))[done]
    at, end, profit = at[done], end[done], profit[done]
    close_time = candles.time + candles.interval_seconds
    inputs = features(rows[at], candles.close[at], close_time[at], sides[at])
    allowed = allowed_sides(rows, candles.close, sides, settings.regime)[at]
    return Events(inputs, (profit > 0).astype(np.int64), close_time[at], close_time[end], allowed, unique)


def pooled(parts: Sequence[Events]) -> Events:
    """Return the events of several symbols as one history: the model learns from all, and knows none by name."""
    decided_at = np.concatenate([part.decided_at for part in parts])
    order = np.argsort(decided_at, kind="stable")
    return Events(
        np.concatenate([part.inputs for part in parts])[order],
        np.concatenate([part.won for part in parts])[order],
        decided_at[order],
        np.concatenate([part.label_end for part in parts])[order],
        np.concatenate([part.allowed for part in parts])[order],
        np.concatenate([part.uniqueness for part in parts])[order],
    )


def uniqueness(at: Ints, end: Ints, bars: int) -> Floats:
    """Return the average uniqueness of E labels over `bars` bars, shape (E,): López de Prado (2018), section 4.4.

    A label is decided at the close of bar `at` and lives through the bars after it, up to and with `end`; in each it
    has one part in as many as live then. Labels that begin after its end make no difference to it, nor does how long
    the others go on.
    """
    change = np.zeros(bars + 1)
    np.add.at(change, at + 1, 1)
    np.add.at(change, end + 1, -1)
    alive = np.cumsum(change)[:bars]
    share = np.divide(1.0, alive, out=np.zeros(bars), where=alive > 0)
    total = np.concatenate([[0.0], np.cumsum(share)])
    return np.asarray((total[end + 1] - total[at + 1]) / np.maximum(end - at, 1))


class CandleColumns(NamedTuple):
    """N candles as the compiled walk takes them, each of shape (N,)."""

    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    funding: Floats

    @classmethod
    def of(cls, candles: Candles) -> CandleColumns:
        """Return the candles' columns, not copied."""
        return cls(candles.time, candles.open, candles.high, candles.low, candles.close, candles.funding)


@compiled(nogil=True)
def walk(
    candles: CandleColumns, interval: int, at: Ints, sides: Ints, volatility: Floats, rules: Rules
) -> tuple[Floats, Ints]:
    """Return each event's net profit per unit of notional, and the index of the bar that ended it (-1: none did).

    Of N candles, `volatility` (a day's, at each close) has shape (N,); `at`, the bars that the events are decided at,
    and `sides` have shape (E,).
    """
    profit = np.zeros(len(at))
    end = np.full(len(at), -1)
    for event in range(len(at)):
        barriers = barriers_at(rules, volatility[at[event]])
        account = broker.place(broker.flat(0.0), Order(sides[event], 1.0, 1.0, barriers))
        for i in range(at[event] + 1, len(candles.time)):
            costs = costs_at(rules, volatility[i - 1])
            account = broker.at_open(account, candles.time[i], candles.open[i], costs)
            bar = Bar(
                candles.time[i],
                candles.open[i],
                candles.high[i],
                candles.low[i],
                candles.close[i],
                0.0,
                candles.funding[i],
            )
            done = broker.at_close(account, bar, candles.time[i] + interval, costs)
            account = done.account
            if done.reason != 0:
                profit[event] = done.profit
                end[event] = i
                break
    return profit, end
