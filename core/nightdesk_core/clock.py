"""Two clocks, two types. `WallTime` is what a `WallClock` says; `MarketTime` is a candle's own, and is passed as data.

A mix-up of the two, in a call, a difference, a comparison or a `max`, is a type error, and raises `TypeError`. In an
accelerated replay every limit in wall time shrinks with the speed. `TimeScale` is the one place where it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, TypeVar, overload

from nightdesk_core.units import DAY_SECONDS

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

K = TypeVar("K", bound="_Time[Any]")
_FIRST_SECOND = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class _Time(Generic[K]):
    """A moment of one kind, K. Generic, so that two kinds have no base class in common that is ordered.

    A record that holds one is written by `stored.plain`: `dataclasses.asdict` would take the moment apart, too.
    """

    seconds: float
    """Since the Unix epoch. The way out of the type; a whole number stays one."""

    def __add__(self, seconds: float) -> Self:
        return type(self)(self.seconds + seconds)

    @overload
    def __sub__(self, other: K) -> float: ...
    @overload
    def __sub__(self, other: float) -> Self: ...
    def __sub__(self, other: K | float) -> float | Self:
        """Return the seconds since another moment of the same kind, or the moment so many seconds before."""
        if isinstance(other, _Time):
            return self.seconds - other.seconds if type(other) is type(self) else NotImplemented
        return type(self)(self.seconds - other)

    def __lt__(self, other: K) -> bool:
        return self.seconds < other.seconds if type(other) is type(self) else NotImplemented

    def __le__(self, other: K) -> bool:
        return self.seconds <= other.seconds if type(other) is type(self) else NotImplemented

    def __gt__(self, other: K) -> bool:
        return self.seconds > other.seconds if type(other) is type(self) else NotImplemented

    def __ge__(self, other: K) -> bool:
        return self.seconds >= other.seconds if type(other) is type(self) else NotImplemented

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a stored record hold the bare number."""
        return _stored_as(cls, handler(float))


class WallTime(_Time["WallTime"]):
    """A moment of the clock on the wall: of heartbeats, staleness, cool-downs of retries, a model's age."""

    __slots__ = ()


class MarketTime(_Time["MarketTime"]):
    """A moment of the market, as its candles tell: of trades, equity, daily losses, the guard's cool-down, windows."""

    __slots__ = ()

    @property
    def whole_seconds(self) -> int:
        """The seconds without their fraction: the way to arrays of candles, and to the compiled engine."""
        return int(self.seconds)

    @property
    def day(self) -> int:
        """The UTC day that it lies in, counted from the epoch."""
        return int(self.seconds // DAY_SECONDS)


class _WholeSeconds:
    @staticmethod
    def __get_pydantic_core_schema__(source: type[MarketTime], handler: GetCoreSchemaHandler) -> CoreSchema:
        return _stored_as(source, handler(int))


CandleTime = Annotated[MarketTime, _WholeSeconds()]
"""A market time in whole seconds, as a candle opens or closes: where it is stored, nothing but an integer is read."""


def _stored_as(kind: type[_Time[Any]], number: CoreSchema) -> CoreSchema:
    from pydantic_core import core_schema

    return core_schema.no_info_after_validator_function(
        kind,
        number,
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda moment: moment.seconds, return_schema=number
        ),
    )


WallClock = Callable[[], WallTime]
"""Returns the wall time."""


def system_clock() -> WallTime:
    """Return the wall time of this machine."""
    return WallTime(time.time())


def wall_clock(clock: Callable[[], float | WallTime]) -> WallClock:
    """Return the clock of somebody who may say the wall time as a plain number, as `time.time` does."""

    def now() -> WallTime:
        said = clock()
        return said if isinstance(said, WallTime) else WallTime(said)

    return now


@dataclass(frozen=True)
class TimeScale:
    """How much faster than the wall the market runs: 1 at a real exchange, 18,000 in a replay of 5 hours a second."""

    speed: float = 1.0
    floor_seconds: float = 5.0
    """No limit shrinks below this: it is what a scrape and an evaluation every second can still tell apart."""

    def limit(self, seconds: float) -> float:
        """Return a wall-time limit of `seconds` as it holds at this speed."""
        if self.speed == 1.0:
            return seconds
        return min(seconds, max(seconds / self.speed, self.floor_seconds))

    def interval(self, seconds: float) -> float:
        """Return the wall time that `seconds` of market time take at this speed."""
        return seconds / self.speed


def utc(moment: WallTime | MarketTime | float) -> datetime:
    """Return a moment, or a plain number of seconds since the Unix epoch, as an aware UTC time.

    One that lies beyond the calendar, as a damaged file may have it, is the calendar's first second or its last.
    """
    seconds = moment.seconds if isinstance(moment, _Time) else moment
    return datetime.fromtimestamp(min(max(seconds, _FIRST_SECOND), _LAST_SECOND), UTC)


def iso(moment: WallTime | MarketTime | float) -> str:
    """Return a moment as ISO 8601 in UTC to the second, such as `2019-10-17T09:00:00Z`."""
    return utc(moment).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def from_iso(text: str) -> float:
    """Return the Unix timestamp in seconds of what `iso` wrote."""
    return datetime.fromisoformat(text).timestamp()
