"""What goes on between bot and exchange."""

from __future__ import annotations

import math
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from nightdesk_core.age import age_seconds
from nightdesk_core.clock import WallTime
from nightdesk_core.numbers import Number
from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.arguments import WrongCallError, flag, moment, number, one_of, text
from nightdesk_exporter.calls.base import Calls, Moment, never_raises

_LOG_AGAIN_SECONDS = 60.0
_NEVER = WallTime(-math.inf)
_MOST_CHARACTERS = 200


class ExchangeCalls(Calls):
    """Heartbeat, requests, connection and clock."""

    @never_raises
    def heartbeat(self, *, at: Moment | None = None) -> None:
        """The loop turned: just now, or `at` an earlier wall time, where that is learned of later.

        Every call that stamps takes such an `at`. What is known already and newer stays.
        """
        snapshot = self.snapshot
        snapshot.heartbeat_at_wall = self._clock() if at is None else self._newest(snapshot.heartbeat_at_wall, at)

    @never_raises
    def announce_wait(self, until: Moment) -> None:
        """The loop waits on purpose until a wall time, such as that of the next candle, and says nothing meanwhile.

        Until then neither the loop nor the exchange is missed; a loop that hangs is found once the wait should have
        ended, at the usual limits. At most a day counts, or an interval of the bot's candles where that is longer.
        A time that is past ends a wait early.
        """
        now = self._clock()
        intervals = [each.interval_seconds for each in tuple(self.snapshot.candles_expected.values())]
        self.snapshot.waiting_until_wall = min(moment(until, "until"), now + max([DAY_SECONDS, *intervals]))
        self._touched = True

    @never_raises
    def contact(self, channel: str, *, at: Moment | None = None) -> None:
        """The exchange said something on `rest` or `ws`. A request that succeeds says so itself."""
        if channel not in ("rest", "ws"):
            one_of(channel, ("rest", "ws"), "channel")
        known = self.snapshot.contact_at_wall
        known[channel] = self._clock() if at is None else self._newest(known.get(channel), at)

    def request(self, what: str = "a request", *surplus: object, **unknown: object) -> Request:
        """Return a context manager, also an asynchronous one, that times and counts one request to the exchange.

        What leaves the block as an exception is a failure: counted under its class, and logged as an error of `what`
        once a minute. A cancellation is neither success nor failure.
        """
        if type(what) is str and not surplus and not unknown:
            return Request(self, what)
        if surplus or unknown or not isinstance(what, str):
            error = WrongCallError("what", "is to be the request's name, as text, and nothing else is to be passed")
            if self.strict:
                raise error
            self.note_error("request: what", error)
        return Request(self, what if isinstance(what, str) else "a request")

    @never_raises
    def rejection(self, reason: str, *, at: Moment | None = None) -> None:
        """The exchange refused an order; `reason` is a kind, such as `insufficient_funds`."""
        reason, stamp = self._without_secrets(text(reason, "reason")), self._stamp(at)
        self._count("orders_rejected", reason)
        self._tell("ERROR", f"the exchange refused an order: {reason}", at=stamp)

    @never_raises
    def connection(self, *, connected: bool, reason: str = "", at: Moment | None = None) -> None:
        """The candle stream is connected, or is not, and why. From the second connection on it is a reconnection."""
        connected, snapshot = flag(connected, "connected"), self.snapshot
        reason, stamp = text(reason, "reason"), self._stamp(at)
        if connected == snapshot.connected:
            return
        broke = snapshot.connected is not False
        snapshot.connected = connected
        snapshot.connection_changed_at = WallTime(stamp)
        self._touched = True
        if connected:
            if snapshot.connections:
                self._count("websocket_reconnects")
            snapshot.connections += 1
            self._tell("INFO", "the candle stream is connected", at=stamp)
        elif broke:
            # A closed market is silent, and some exchanges then hang up.
            level = "DEBUG" if snapshot.trading_expected is False else "ERROR"
            self._tell(level, f"the candle stream broke: {reason or 'no reason given'}", at=stamp)

    @never_raises
    def clock_offset(self, seconds: Number) -> None:
        """By how much the exchange's clock is ahead of ours, in wall time."""
        self.snapshot.clock_offset = number(seconds, "seconds")
        self._touched = True

    def _request_succeeded(self, seconds: float) -> None:
        # Not guarded as a call is: nothing here is the bot's, and it would cost a tenth of the whole.
        snapshot = self.snapshot
        snapshot.histograms["exchange_request_duration_seconds"].observe(seconds)
        snapshot.counters["exchange_requests",] += 1
        snapshot.contact_at_wall["rest"] = self._clock()

    @never_raises
    def _request_failed(self, what: str, seconds: float, failure: Exception) -> None:
        snapshot = self.snapshot
        snapshot.histograms["exchange_request_duration_seconds"].observe(seconds)
        snapshot.counters["exchange_requests",] += 1
        reason = type(failure).__name__
        self._count("exchange_request_failures", reason)
        now = self._now()
        snapshot.request_failed_at_wall = now.seconds
        self._touched = True
        before, unsaid = snapshot.failures.get(reason, (_NEVER, 0))
        if age_seconds(before, now=now) < _LOG_AGAIN_SECONDS:
            snapshot.failures[reason] = (before, unsaid + 1)
            return
        snapshot.failures[reason] = (now, 0)
        more = f" ({unsaid} more of its kind in the last minute)" if unsaid else ""
        self._tell("ERROR", f"{what} failed: {reason}: {self._words(failure)[:_MOST_CHARACTERS]}{more}")


class Request:
    """One request under way. Made by `BotExporter.request()`."""

    __slots__ = ("_begun", "_calls", "_what")

    _begun: float

    def __init__(self, calls: ExchangeCalls, what: str) -> None:
        self._calls = calls
        self._what = what

    def __enter__(self) -> Self:
        self._begun = perf_counter()
        return self

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *ended: Any) -> None:
        self.__exit__(*ended)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is None:
            self._calls._request_succeeded(perf_counter() - self._begun)
        elif isinstance(error, Exception):
            self._calls._request_failed(self._what, perf_counter() - self._begun, error)
