"""Whether the symbols' clocks agree: a stretch that is shifted by hours fits its neighbours better at another hour."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from nightdesk_core.clock import iso

from nightdesk_trendbot.candle_store.quality import Finding
from nightdesk_trendbot.signals.candles import Candles, Floats, Ints

_HOUR_SECONDS = 3600
_BLOCK = 7 * 24
"""So many returns are looked at together: a week of hourly ones, or as many of a longer timeframe."""
_LONGEST_LAG_SECONDS = 14 * _HOUR_SECONDS
"""No time zone lies further from UTC."""
SHIFTED_CORRELATION = 0.5
SHIFTED_GAIN = 0.3
"""A week whose hourly returns correlate so much at another hour, and so much more there than at the hour they bear. In
three thousand simulated weeks of markets with nothing in common, fat tails and clustered volatility included, the best
of the 29 lags reached 0.32; two that move together at 0.7 reach 0.41 to 0.8 when one is shifted."""
_FEWEST = 120
"""Of fewer returns that both have, the best of so many lags is chance: nothing is said of such a week."""
_CLIP = 2.0
"""Returns count up to so many robust standard deviations: one crash must not make a week's correlation."""


def check_alignment(markets: Mapping[str, Candles]) -> list[Finding]:
    """Return for each pair of symbols the weeks in which one is shifted by hours against the other; it stops."""
    step = max(_HOUR_SECONDS, *(candles.interval_seconds for candles in markets.values()))
    begin = min(int(candles.time[0]) for candles in markets.values()) // step
    end = max(int(candles.time[-1]) for candles in markets.values()) // step + 1
    length = -(-(end - begin) // _BLOCK) * _BLOCK
    returns = {symbol: _returns(candles, step, begin, length) for symbol, candles in markets.items()}
    found = []
    for first, second in combinations(markets, 2):
        found += _shifted(first, second, returns[first], returns[second], step, begin * step)
    return found


def correlations(first: Floats, second: Floats, *, longest: int) -> Floats:
    """Return the correlations of two columns of returns, 168 at a time, shape (2 · longest + 1, blocks).

    The lags go from -`longest` to `longest`; at a positive one the second's returns are those of so much later. A
    correlation is NaN where too few returns are known.
    """
    ours = first.reshape(-1, _BLOCK)
    found = []
    for lag in range(-longest, longest + 1):
        theirs = _moved(second, lag).reshape(-1, _BLOCK)
        scale = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
        product = (ours * theirs).sum(axis=1)
        enough = ((ours != 0) & (theirs != 0)).sum(axis=1) >= _FEWEST
        found.append(np.divide(product, scale, out=np.full(len(scale), np.nan), where=enough & (scale > 0)))
    return np.array(found)


def _shifted(first: str, second: str, ours: Floats, theirs: Floats, step: int, begin: int) -> list[Finding]:
    longest = _LONGEST_LAG_SECONDS // step
    by_lag = correlations(ours, theirs, longest=longest)
    straight = by_lag[longest]
    by_lag = np.where(np.isnan(by_lag) | np.isnan(straight), -np.inf, by_lag)
    best = by_lag.max(axis=0)
    blocks = np.flatnonzero((best >= SHIFTED_CORRELATION) & (best - straight >= SHIFTED_GAIN))
    if len(blocks) == 0:
        return []
    block = int(blocks[0])
    lag = (int(by_lag[:, block].argmax()) - longest) * step // _HOUR_SECONDS
    times = tuple(begin + int(number) * _BLOCK * step for number in blocks)
    more = f", and {len(blocks) - 1} times more" if len(blocks) > 1 else ""
    days = _BLOCK * step // (24 * _HOUR_SECONDS)
    what = (
        f"in the {days} days from {iso(times[0])} on, {first} goes as {second} does {abs(lag)} h "
        f"{'later' if lag > 0 else 'earlier'} (correlation {best[block]:.2f}, at the same hour {straight[block]:.2f}): "
        f"one of the two is in another time zone{more}"
    )
    return [Finding("shift", True, what, tuple(map(int, blocks)), times)]


def _returns(candles: Candles, step: int, begin: int, length: int) -> Floats:
    """Return log returns over `step` seconds in robust standard deviations, clipped, 0 where unknown, (length,)."""
    place = candles.time // step - begin
    last: Ints = np.append(np.flatnonzero(np.diff(place)), len(place) - 1)
    closes = np.full(length + 1, np.nan)
    closes[place[last] + 1] = np.log(candles.close[last])
    returns = np.diff(closes)
    known = np.isfinite(returns)
    deviation = float(np.median(np.abs(returns[known]))) * 1.4826 if known.any() else 0.0
    if deviation == 0:
        return np.zeros(length)
    return np.where(known, np.clip(returns / deviation, -_CLIP, _CLIP), 0.0)


def _moved(returns: Floats, lag: int) -> Floats:
    moved = np.zeros_like(returns)
    if lag >= 0:
        moved[: len(returns) - lag] = returns[lag:]
    else:
        moved[-lag:] = returns[:lag]
    return moved
