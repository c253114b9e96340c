"""A curve that never grows: once it is full, every second point goes, and points come half as often."""

from __future__ import annotations

from typing import NamedTuple

_MOST_POINTS = 400
_SHORTEST_SPACING = 1.0
"""In seconds of the curve's time."""


class Point(NamedTuple):
    """Equity and drawdown at a time in Unix seconds: market time where candles have told it, else wall time."""

    at: float
    equity: float
    drawdown_ratio: float


class Curve:
    """The last points of equity and drawdown, from the bot's start or from what was seeded on."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._spacing = _SHORTEST_SPACING
        self.last_at = float("-inf")
        self.next_at = float("-inf")
        """A point from before this time would be one too many."""

    def add(self, point: Point) -> None:
        """Take a point, unless it follows too soon. One from before the last begins a new curve: time has jumped."""
        if point.at < self.last_at:
            self._points, self._spacing = [], _SHORTEST_SPACING
        elif point.at < self.next_at:
            return
        points = self._points
        points.append(point)
        if len(points) > _MOST_POINTS:
            self._spacing = max((point.at - points[0].at) / _MOST_POINTS * 2, self._spacing)
            # Replaced whole: who reads it meanwhile keeps the one before.
            self._points = points = points[::2]
        self.last_at = points[-1].at
        self.next_at = self.last_at + self._spacing

    def scale(self, factor: float, *, until: float) -> None:
        """Show the equities until a time in the money of after a cash flow; drawdowns are ratios, and stay."""
        self._points = [
            point._replace(equity=point.equity * factor) if point.at <= until else point for point in self._points
        ]

    def points(self) -> tuple[Point, ...]:
        """Return the points, oldest first."""
        return tuple(self._points)
