"""What the bot sees of the market, and that it decides."""

from __future__ import annotations

from datetime import datetime

from nightdesk_core.clock import MarketTime, WallTime, iso
from nightdesk_core.numbers import Number

from nightdesk_exporter.arguments import LATEST, flag, moment, number, one_of, text
from nightdesk_exporter.calls.base import Calls, Moment, never_raises
from nightdesk_exporter.metrics.catalogue import REGIMES
from nightdesk_exporter.snapshot import CandlesExpected, Trouble


class MarketCalls(Calls):
    """Candles, decisions, signals and regimes."""

    @never_raises
    def expect_candles(
        self, symbol: str, timeframe: str, *, interval_seconds: Number | None, at: Moment | None = None
    ) -> None:
        """From now on a candle is expected every `interval_seconds` of wall time: its absence is counted from here.

        `None` for none, as while the symbol's market is closed.
        """
        self._touched = True
        symbol, timeframe, since = self._symbol(symbol), text(timeframe, "timeframe"), WallTime(self._stamp(at))
        if interval_seconds is not None:
            interval = number(interval_seconds, "interval_seconds", least=0)
            self.snapshot.candles_expected[symbol, timeframe] = CandlesExpected(since, interval)
            self.snapshot.without -= {"candles"}
            return
        self.snapshot.candles_expected.pop((symbol, timeframe), None)
        self.snapshot.candles_wall_and_market.pop((symbol, timeframe), None)
        self.snapshot.decided_at_wall.pop(symbol, None)

    @never_raises
    def candle(
        self,
        symbol: str,
        timeframe: str,
        *,
        close_time: float | datetime | MarketTime,
        contact: bool = True,
        at: Moment | None = None,
    ) -> None:
        """A confirmed candle was received; `close_time` is market time, in Unix seconds or an aware datetime.

        It shows that the exchange is in reach: by the stream where that is said to be connected, else by a request.
        Pass `contact=False` of one that was made from silence, as where no trade came.
        """
        # The usual case first: this is called more often than anything else.
        if type(close_time) is not float or not 0.0 <= close_time <= LATEST:
            close_time = moment(close_time, "close_time")
        snapshot, key = self.snapshot, (symbol, timeframe)
        if key not in snapshot.candles_wall_and_market:
            key = self._symbol(symbol), text(timeframe, "timeframe")
        seen, received = snapshot.candles_wall_and_market, self._clock() if at is None else self._stamp(at)
        if contact is True or flag(contact, "contact"):
            known, channel = snapshot.contact_at_wall, "ws" if snapshot.connected else "rest"
            known[channel] = received if at is None else self._newest(known.get(channel), at)
        if at is None or key not in seen or self._newest(seen[key][0], at) == received:
            seen[key] = (received, close_time)
        # Another symbol's candle may come late.
        if snapshot.newest_close_market is None or close_time > snapshot.newest_close_market:
            snapshot.newest_close_market = close_time

    @never_raises
    def gap_repaired(self, symbol: str, timeframe: str) -> None:
        """Missing candles were fetched."""
        self._count("candle_gaps", self._symbol(symbol), text(timeframe, "timeframe"))

    @never_raises
    def candle_rejected(
        self,
        symbol: str,
        timeframe: str,
        *,
        open_time: float | datetime | MarketTime,
        reason: str,
        at: Moment | None = None,
    ) -> None:
        """The exchange serves a candle that cannot be true, and it is set aside: as if there were none.

        `open_time` is its open in market time; `reason` says what is wrong, such as `has a negative volume`.
        """
        key = self._symbol(symbol), text(timeframe, "timeframe")
        opened, stamp = iso(moment(open_time, "open_time")), self._stamp(at)
        found = self._without_secrets(f"the candle of {opened} {text(reason, 'reason')}")
        self.snapshot.candles_rejected[key] = Trouble(WallTime(stamp), found)
        self._tell("WARNING", f"{symbol} {timeframe}: {found}; it is set aside, as if there were none", at=stamp)
        self.changed()

    @never_raises
    def listed(self, symbol: str, *, listed: bool, at: Moment | None = None) -> None:
        """Whether the exchange lists a symbol: of one that is delisted, renamed or suspended there are no candles."""
        symbol, listed, stamp = self._symbol(symbol), flag(listed, "listed"), self._stamp(at)
        before = self.snapshot.listed.get(symbol)
        if before == listed:
            return
        self.snapshot.listed[symbol] = listed
        if not listed:
            told = f"the exchange does not list {symbol}: it is set aside, and the others trade on"
            self._tell("ERROR", told, at=stamp)
        elif before is not None:
            self._tell("INFO", f"the exchange lists {symbol} again", at=stamp)
        self.changed()

    @never_raises
    def decision(self, symbol: str, *, seconds: Number | None = None, at: Moment | None = None) -> None:
        """A candle was decided on, whatever came of it; `seconds` is how long that took."""
        decided = self.snapshot.decided_at_wall
        if symbol not in decided:
            symbol = self._symbol(symbol)
        stamp = self._clock() if at is None else self._newest(decided.get(symbol), at)
        if seconds is not None:
            took = number(seconds, "seconds", least=0)
            self.snapshot.histograms["decision_duration_seconds"].observe(took)
        decided[symbol] = stamp

    @never_raises
    def signal(self, symbol: str, outcome: str) -> None:
        """What became of a candle's signal, such as `entered` or `blocked_guard`."""
        counters, key = self.snapshot.counters, ("signals", symbol, outcome)
        if key in counters:
            counters[key] += 1
        else:
            self._count("signals", self._symbol(symbol), text(outcome, "outcome"))

    @never_raises
    def regime(self, symbol: str, regime: str, *, at: Moment | None = None) -> None:
        """In which regime a symbol's market is; changes are counted and logged."""
        one_of(regime, REGIMES, "regime")
        symbol = self._symbol(symbol)
        before = self.snapshot.regimes.get(symbol)
        if regime == before:
            return
        stamp, self.snapshot.regimes[symbol] = self._stamp(at), regime
        if before is not None:
            self._count("regime_changes", symbol)
            self._tell("INFO", f"regime of {symbol}: {before} to {regime}", at=stamp)
        self.changed()

    @never_raises
    def trading_expected(self, *, expected: bool, at: Moment | None = None) -> None:
        """Whether the market is open and the bot is meant to trade in it."""
        expected, stamp, snapshot = flag(expected, "expected"), self._stamp(at), self.snapshot
        if snapshot.trading_expected == expected:
            return
        # One that was restored is older than this start.
        if not expected or snapshot.trading_expected is not None or snapshot.trading_expected_since is None:
            snapshot.trading_expected_since = WallTime(stamp)
        snapshot.trading_expected = expected
        self._touched = True
        told = "trading is expected" if expected else "no trading is expected: the market is closed"
        self._tell("INFO", told, at=stamp)
