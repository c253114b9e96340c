"""The market's clock. Pure: it reads one clock that it is given and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from nightdesk_core.units import DAY_SECONDS

from nightdesk_sandbox.recordings.candles import HOUR_SECONDS, RecordedCandles

State = Literal["held", "running", "paused", "over"]


def replay_start(candles: RecordedCandles, replay_days: float) -> int:
    """Return when a replay of the last `replay_days` begins: on the hour, with one candle of history at least."""
    earliest = int(candles.time[0]) + candles.interval_seconds
    wanted = candles.end - replay_days * DAY_SECONDS
    return max(earliest, round(wanted / HOUR_SECONDS) * HOUR_SECONDS)


class Replay:
    """The time of all markets: from `start` to `end`, at a speed of `candles_per_second` hours a second.

    It is held at its start, so that a model can be trained on the history first, until `run` is called. It can be
    paused. At its end it is over and stands.
    """

    def __init__(
        self,
        *,
        start: float,
        end: int,
        candles_per_second: float,
        clock: Callable[[], float],
    ) -> None:
        self.end = end
        self.speed = candles_per_second * HOUR_SECONDS
        """Seconds of market time that pass in one second."""
        self._clock = clock
        self._position = self._latest = min(float(start), float(end))
        self._since: float | None = None
        """When the time ran on from `_position`; `None` while it stands."""
        self._begun = False

    def now(self) -> float:
        """Return the market's time in seconds since the epoch. It never goes back."""
        if self._since is not None:
            reached = self._position + (self._clock() - self._since) * self.speed
            self._latest = max(self._latest, min(reached, float(self.end)))
        return self._latest

    @property
    def over(self) -> bool:
        """Whether the last candle has closed."""
        return self.now() >= self.end

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
