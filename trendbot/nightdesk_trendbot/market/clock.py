"""What time it is in the market, by two clocks that must agree: the exchange's and our own."""

from __future__ import annotations

from nightdesk_core.clock import MarketTime, TimeScale, WallClock, WallTime


class MarketClock:
    """Measures how far the exchange's clock is off, and believes neither clock alone.

    At a real exchange our own clock is the wall's. In a replay it is reckoned from the replay's speed, and corrected by
    every candle that is seen to begin: a replay that was paused is behind where its speed would have it.
    """

    def __init__(self, scale: TimeScale, clock: WallClock) -> None:
        self._scale = scale
        self._clock = clock
        self._anchor: tuple[MarketTime, WallTime] | None = None
        """A time of the market, and when it was."""
        self.offset_seconds: float | None = None
        """The exchange's time less ours when it was last asked, in seconds of the wall; `None` where not known."""

    def observe(self, exchange_now: MarketTime) -> tuple[MarketTime, MarketTime]:
        """Take the exchange's time, asked for just now; return the earlier and the later of the two clocks' times."""
        own = self._own()
        if own is None:
            own = exchange_now
            self._anchor = (exchange_now, self._clock())
        self.offset_seconds = (exchange_now - own) / self._scale.speed
        return min(exchange_now, own), max(exchange_now, own)

    def begun(self, time: MarketTime, interval_seconds: int) -> None:
        """Take note that the candle that opens at a time is the newest: it cannot be earlier, nor much later."""
        own = self._own()
        if own is None or not time <= own <= time + 2 * interval_seconds:
            if self._scale.speed != 1.0:
                # It was ours that was off: how far the exchange's is will be known when it is next asked.
                self.offset_seconds = None
            self._anchor = (time, self._clock())

    def now(self) -> MarketTime | None:
        """Return what time it is in the market by our own clock; `None` before anything is known of a replay."""
        return self._own()

    def age(self, market_time: MarketTime) -> float:
        """Return how long ago a market time was, in seconds of the wall; 0 where that is not known, or lies ahead."""
        now = self._own()
        return 0.0 if now is None else max(0.0, (now - market_time) / self._scale.speed)

    def _own(self) -> MarketTime | None:
        if self._scale.speed == 1.0:
            return MarketTime(self._clock().seconds)
        if self._anchor is None:
            return None
        market, wall = self._anchor
        return market + (self._clock() - wall) * self._scale.speed
