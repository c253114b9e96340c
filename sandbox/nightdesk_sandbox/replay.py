"""The market's clock, and what of the candles has happened by it.

Pure: it reads one clock that it is given and touches nothing else. Nothing that it hands out tells of a candle that the
market has not reached.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from nightdesk_core.clock import WallClock

from nightdesk_sandbox.candles import HOUR_SECONDS, Candles

State = Literal["held", "running", "paused", "over"]

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Candle:
    """One candle as it stands. Times in seconds since the epoch, `time` the open; volume in the base coin.

    `confirmed` says that it is closed and will not change.
    """

    time: int
    interval_seconds: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    confirmed: bool

    @property
    def end(self) -> int:
        """The candle's close, which is the next one's open."""
        return self.time + self.interval_seconds

    @property
    def turnover(self) -> float:
        """Volume in the quote coin, taken at the candle's typical price: the sample does not hold every trade."""
        return self.volume * (self.high + self.low + self.close) / 3


def replay_start(candles: Candles, replay_days: float) -> int:
    """Return when a replay of the last `replay_days` begins: on the hour, with one candle of history at least."""
    earliest = int(candles.time[0]) + candles.interval_seconds
    wanted = candles.end - replay_days * DAY_SECONDS
    return max(earliest, round(wanted / HOUR_SECONDS) * HOUR_SECONDS)


class Replay:
    """A market whose past is `candles` and whose time runs at `candles_per_second`.

    It is held at its start, so that a model can be trained on the history first, until `run` is called. It can be
    paused. Where the candles end it is over and its time stands at the last close. An hour that the candles lack passes
    like any other.
    """

    def __init__(
        self,
        candles: Candles,
        *,
        start: float,
        candles_per_second: float,
        clock: WallClock,
    ) -> None:
        self.candles = candles
        self.speed = candles_per_second * candles.interval_seconds
        """Seconds of market time that pass in one second."""
        self._clock = clock
        self._position = self._latest = min(float(start), float(candles.end))
        self._since: float | None = None
        """When the time ran on from `_position`; `None` while it stands."""
        self._begun = False

    def now(self) -> float:
        """Return the market's time in seconds since the epoch. It never goes back."""
        if self._since is not None:
            reached = self._position + (self._clock() - self._since) * self.speed
            self._latest = max(self._latest, min(reached, float(self.candles.end)))
        return self._latest

    @property
    def over(self) -> bool:
        """Whether the last candle has closed."""
        return self.now() >= self.candles.end

    @property
    def state(self) -> State:
        """Held before the first `run`, then running or paused, and over at the end."""
        if self.over:
            return "over"
        if self._since is not None:
            return "running"
        return "paused" if self._begun else "held"

    def run(self) -> None:
        """Let the time run on."""
        self._begun = True
        if self._since is None:
            self._since = self._clock()

    def pause(self) -> None:
        """Stop the time where it is."""
        self._position = self.now()
        self._begun = True
        self._since = None

    def seconds_until(self, moment: float) -> float:
        """Return how long it takes until the market's time is `moment`, were it running; 0 where that has passed."""
        return max(moment - self.now(), 0.0) / self.speed

    def index_after(self, moment: float) -> int:
        """Return the index of the first candle that closes after `moment`; as many as there are where none does."""
        return int(np.searchsorted(self.candles.time, moment - self.candles.interval_seconds, side="right"))

    def confirmed(self, until: float | None = None) -> int:
        """Return how many candles have closed by `until`, or by now where that is earlier."""
        now = self.now()
        return self.index_after(now if until is None else min(until, now))

    def candle(self, index: int) -> Candle:
        """Return a candle of the past. Raises `IndexError` for one that has not closed: nobody knows it yet."""
        if not 0 <= index < self.confirmed():
            raise IndexError(f"candle {index} has not closed yet")
        return self._at(index, fraction=1.0)

    def forming(self, at: float | None = None) -> Candle | None:
        """Return the candle that was forming at `at`, or now; none where its hour is missing or the replay is over."""
        now = self.now()
        moment = now if at is None else min(at, now)
        index = self.index_after(moment)
        if index >= len(self.candles) or self.candles.time[index] > moment:
            return None
        return self._at(index, fraction=(moment - float(self.candles.time[index])) / self.candles.interval_seconds)

    def update(self, index: int, fraction: float) -> Candle:
        """Return how a candle stood when `fraction` of it had passed. Raises `IndexError` where that is yet to come."""
        moment = float(self.candles.time[index]) + fraction * self.candles.interval_seconds
        if moment > self.now():
            raise IndexError(f"candle {index} is not yet {fraction:.0%} old")
        return self._at(index, fraction=fraction)

    def _at(self, index: int, *, fraction: float) -> Candle:
        candles = self.candles
        time = int(candles.time[index])
        opened, high, low, close = (
            float(column[index]) for column in (candles.open, candles.high, candles.low, candles.close)
        )
        volume = float(candles.volume[index])
        if fraction < 1.0:
            path = (opened, low, high, close) if _low_first(time) else (opened, high, low, close)
            high, low, close = _walk(path, fraction, candles.price_decimals)
            volume = math.floor(volume * fraction * 1e8) / 1e8
        return Candle(time, candles.interval_seconds, opened, high, low, close, volume, confirmed=fraction >= 1.0)


def _low_first(time: int) -> bool:
    """Return which extreme comes first, from the hour alone: taken from the candle it would give its close away."""
    return (time // HOUR_SECONDS * 2_654_435_761) >> 7 & 1 == 1


def _walk(path: tuple[float, float, float, float], fraction: float, decimals: int) -> tuple[float, float, float]:
    """Return high, low and last price after `fraction` of a path of three legs, each taking a third of the time."""
    leg = min(int(fraction * 3), 2)
    begin, end = path[leg], path[leg + 1]
    price = round(begin + (end - begin) * (fraction * 3 - leg), decimals)
    price = min(max(price, min(begin, end)), max(begin, end))
    seen = (*path[: leg + 1], price)
    return max(seen), min(seen), price
