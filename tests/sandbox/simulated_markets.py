"""Healthy markets that never were: each with what markets do and a check could mistake for a fault."""

from __future__ import annotations

import numpy as np
from nightdesk_sandbox.recordings.candles import RecordedCandles

FIRST_HOUR = 1_500_000_400 // 3600 * 3600
KINDS = ("calm", "wild", "ticks", "weekends", "pump", "quiet", "crash", "illiquid")


def simulated_market(kind: str, *, seed: int, count: int = 6000) -> RecordedCandles:
    """Return hourly candles of one kind of market.

    All have clustered volatility, fat tails and a day's rhythm in their volume. `wild` moves by 3% an hour, `ticks`
    costs some ticks only, `weekends` pauses for two days and opens elsewhere, `pump` gains three hundred times in the
    course of a month and its volume a hundred times, `quiet` has hours without a trade, `crash` loses four fifths
    within hours, `illiquid` moves by 1% an hour and is traded in one hour of eight, elsewhere than before.
    """
    source = np.random.default_rng([seed, KINDS.index(kind)])
    hours = np.arange(count)
    scale = {"calm": 0.0008, "wild": 0.03, "ticks": 0.01, "crash": 0.015, "illiquid": 0.01}.get(kind, 0.006)
    volatility = scale * np.exp(_wandering(source, count, keep=0.98, spread=0.12))
    # The worst real hours took four fifths; the tails of this distribution know no such bound.
    shocks = source.standard_t(4, count)
    if kind == "illiquid":
        # What moves unseen shows in one jump: a shock of fifty deviations looks like a split, and none is meant here.
        shocks = np.clip(shocks, -8, 8)
    returns = np.clip(volatility * shocks / np.sqrt(2), -np.log(5), np.log(5))
    if kind == "pump":
        returns[2000:2720] += np.log(300) / 720
    if kind == "crash":
        returns[3000:3004] = np.log(0.67)
    start = 2e-7 if kind == "ticks" else 100.0
    close = start * np.exp(np.cumsum(returns - returns.mean() * (kind != "pump")))
    opened = np.concatenate([[start], close[:-1]])
    if kind == "weekends":
        opened[np.isin(hours % 168, [0])] *= np.exp(source.normal(0, 3 * scale, len(opened[hours % 168 == 0])))
    reach = volatility * source.exponential(1, (2, count))
    high, low = np.maximum(opened, close) * np.exp(reach[0]), np.minimum(opened, close) * np.exp(-reach[1])
    rhythm = 1 + 0.5 * np.sin(hours / 24 * 2 * np.pi)
    volume = rhythm * np.exp(_wandering(source, count, keep=0.9, spread=0.4) + source.normal(3, 0.5, count))
    volume *= 1 + 20 * np.abs(returns) / scale / 5
    if kind == "pump":
        volume *= np.exp(np.clip((hours - 2000) / 720, 0, 1) * np.log(100))
    decimals = 8 if kind == "ticks" else 4
    columns = [np.maximum(np.round(column, decimals), 10.0**-decimals) for column in (opened, high, low, close)]
    if kind == "quiet":
        silent = source.random(count) < 0.3
        for column in columns:
            column[silent] = columns[0][silent]
        volume[silent] = 0
    if kind == "illiquid":
        silent = source.random(count) < 7 / 8
        last = columns[3][np.maximum.accumulate(np.where(silent, 0, hours))]
        for column in columns:
            column[silent] = last[silent]
        volume[silent] = 0
    kept = hours % 168 < 120 if kind == "weekends" else np.ones(count, dtype=bool)
    opened, high, low, close = (column[kept] for column in columns)
    high, low = np.maximum.reduce([opened, high, close]), np.minimum.reduce([opened, low, close])
    return RecordedCandles(FIRST_HOUR + 3600 * hours[kept], opened, high, low, close, np.round(volume[kept], 3))


def _wandering(source: np.random.Generator, count: int, *, keep: float, spread: float) -> np.ndarray:
    """Return a level that wanders about 0 and is drawn back to it."""
    steps = source.normal(0, spread, count)
    level = np.zeros(count)
    for place in range(1, count):
        level[place] = keep * level[place - 1] + steps[place]
    return level
