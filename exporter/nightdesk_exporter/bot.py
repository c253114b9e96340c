"""The exporter as the bot's loop sees it: one object, one call for each thing that happens.

No call raises into the loop, unless it is strict: what is wrong is counted in `instrumentation_errors_total`, shown by
the health check, and logged once a cause with what to do. Arguments are checked before anything changes, so that a
wrong one never reaches a scrape.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self

from loguru import logger
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.files import LockTimeoutError
from nightdesk_core.trades import ClosedTrade
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from nightdesk_exporter.arguments import WrongCallError, flag, moment, number, numbers, one_of, text, whole
from nightdesk_exporter.catalogue import GUARD_STATES, REGIMES
from nightdesk_exporter.collector import SnapshotCollector
from nightdesk_exporter.health import Health, assess
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.snapshot import CandleSeen, CandlesExpected, Limits, ModelInUse, Position, Snapshot
from nightdesk_exporter.status import sections
from nightdesk_exporter.status_file import StatusFile

P = ParamSpec("P")


def _never_raises(call: Callable[Concatenate[BotExporter, P], None]) -> Callable[Concatenate[BotExporter, P], None]:
    name = call.__name__

    @functools.wraps(call)
    def guarded(self: BotExporter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(self, *args, **kwargs)
        except Exception as error:
            if self.strict:
                raise
            self.note_error(_cause(name, error), error)

    return guarded


def _cause(call: str, error: Exception) -> str:
    """Return what a wrong call is counted under: as few as there are calls and arguments."""
    if isinstance(error, WrongCallError):
        return f"{call}: {error.argument.partition('[')[0]}"
    return f"{call}: {'arguments' if isinstance(error, TypeError) else type(error).__name__}"


class BotExporter:
    """Observes one bot. A context manager: on entry it serves, on exit it stops.

    `symbols` are (symbol, timeframe) pairs, `outcomes` the values of `signals_total{outcome}`: their counters exist
    at 0 from the start. `limits` are in wall time as they hold at the bot's speed. `strict` has wrong calls raise
    `WrongCallError`: for tests and first tries.
    """

    def __init__(
        self,
        name: str,
        *,
        symbols: Sequence[tuple[str, str]],
        outcomes: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = 8700,
        web_config_file: Path | None = None,
        limits: Limits | None = None,
        status_file: StatusFile | None = None,
        status_interval_seconds: float = 300.0,
        currency: str = "USDT",
        strict: bool = False,
        clock: WallClock = system_clock,
    ) -> None:
        self.strict = strict
        self._name = name
        self._clock = clock
        self._limits = limits or Limits()
        self._address = (host, port)
        self._web_config_file = web_config_file
        self._status_file = status_file
        self._status_interval = status_interval_seconds
        self._stopped = threading.Event()
        self._logged: set[str] = set()
        self._server: ExporterServer | None = None
        self.snapshot = Snapshot(started_at=clock(), currency=currency)
        self._create_counters(symbols, outcomes)
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._collector = SnapshotCollector(
            self.snapshot, self._limits, bot=name, version=version("nightdesk"), health=self.health
        )
        self.registry.register(self._collector)

    def __enter__(self) -> Self:
        host, port = self._address
        self._server = ExporterServer(
            self.registry,
            host=host,
            port=port,
            health=self.health,
            status=self.status,
            web_config_file=self._web_config_file,
        )
        self._writer = threading.Thread(target=self._write_status_regularly, name="nightdesk-status", daemon=True)
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._writer.join(timeout=5)
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Where the running exporter serves."""
        if self._server is None:
            raise RuntimeError("the exporter serves only inside its with block")
        return self._server.url

    def health(self) -> Health:
        """Return the bot's health now."""
        return assess(self.snapshot, self._limits, now=self._clock())

    def status(self) -> dict[str, Any]:
        """Return the status file's sections of the bot as of now."""
        running = not self._stopped.is_set()
        return sections(self.snapshot, self.health(), bot=self._name, running=running, now=self._clock())

    @_never_raises
    def set_limits(self, limits: Limits) -> None:
        """Measure by other limits from now on."""
        if not isinstance(limits, Limits):
            raise WrongCallError("limits", "are none; pass a Limits")
        self._limits = self._collector.limits = limits

    @_never_raises
    def heartbeat(self) -> None:
        """The loop turned."""
        self.snapshot.heartbeat_at = self._clock()

    @_never_raises
    def contact(self, channel: str) -> None:
        """The exchange answered on `rest` or `ws`."""
        self.snapshot.contact_at[text(channel, "channel")] = self._clock()

    @_never_raises
    def request(self, *, failure: str | None = None) -> None:
        """A request to the exchange ended; `failure` names why it failed."""
        if failure is not None:
            text(failure, "failure")
        self.snapshot.counters["exchange_requests",] += 1
        if failure is not None:
            self.snapshot.counters["exchange_request_failures", failure] += 1

    @_never_raises
    def connection(self, *, connected: bool, reconnect: bool = False) -> None:
        """The candle stream connected or broke."""
        connected, again = flag(connected, "connected"), flag(reconnect, "reconnect")
        self.snapshot.connected = connected
        self.snapshot.counters["websocket_reconnects",] += int(again)

    @_never_raises
    def clock_offset(self, seconds: float) -> None:
        """By how much the exchange's clock is ahead of ours, in wall time."""
        self.snapshot.clock_offset = number(seconds, "seconds")

    @_never_raises
    def expect_candles(self, symbol: str, timeframe: str, *, interval_seconds: float | None) -> None:
        """From now on a candle is expected every `interval_seconds` of wall time: its absence is counted from here.

        `None` for none, as while the symbol's market is closed.
        """
        symbol, timeframe = text(symbol, "symbol"), text(timeframe, "timeframe")
        if interval_seconds is not None:
            interval = number(interval_seconds, "interval_seconds", least=0)
            self.snapshot.candles_expected[symbol, timeframe] = CandlesExpected(self._clock(), interval)
            return
        self.snapshot.candles_expected.pop((symbol, timeframe), None)
        self.snapshot.candles.pop((symbol, timeframe), None)
        self.snapshot.decided_at.pop(symbol, None)

    @_never_raises
    def candle(self, symbol: str, timeframe: str, *, close_time: float | datetime) -> None:
        """A confirmed candle was received; `close_time` is market time, in Unix seconds or an aware datetime."""
        key = text(symbol, "symbol"), text(timeframe, "timeframe")
        closed = moment(close_time, "close_time")
        snapshot = self.snapshot
        snapshot.candles[key] = CandleSeen(self._clock(), closed)
        snapshot.market_time = closed

    @_never_raises
    def gap_repaired(self, symbol: str, timeframe: str) -> None:
        """Missing candles were fetched."""
        self.snapshot.counters["candle_gaps", text(symbol, "symbol"), text(timeframe, "timeframe")] += 1

    @_never_raises
    def decision(self, symbol: str, *, outcome: str, regime: str) -> None:
        """A candle was decided on."""
        text(symbol, "symbol")
        text(outcome, "outcome")
        one_of(regime, REGIMES, "regime")
        self.snapshot.decided_at[symbol] = self._clock()
        self.snapshot.counters["signals", symbol, outcome] += 1
        before = self.snapshot.regimes.get(symbol)
        self.snapshot.regimes[symbol] = regime
        if before not in (None, regime):
            self.snapshot.counters["regime_changes", symbol] += 1

    @_never_raises
    def guard(
        self,
        state: str,
        *,
        size_multiplier: float,
        values: Mapping[str, float | None],
        limits: Mapping[tuple[str, ...], float],
    ) -> None:
        """How the guard stands: `values` by rule, `limits` by rule and tier."""
        one_of(state, GUARD_STATES, "state")
        size, by_rule, by_tier = (
            number(size_multiplier, "size_multiplier"),
            numbers(values, "values"),
            numbers(limits, "limits"),
        )
        self.snapshot.guard = state
        self.snapshot.guard_size_multiplier = size
        self.snapshot.guard_values = {text(rule, "values"): value for rule, value in by_rule.items()}
        self.snapshot.guard_limits = {_labels(key, "limits"): value for key, value in by_tier.items()}

    @_never_raises
    def guard_moved(self, to: str, *, reason: str) -> None:
        """The guard changed its state."""
        one_of(to, GUARD_STATES, "to")
        self.snapshot.guard_reason = text(reason, "reason")
        self.snapshot.counters["guard_transitions", to] += 1
        self._write_status()

    @_never_raises
    def kill_switch(self, *, active: bool, reason: str = "") -> None:
        """Whether the kill switch is active."""
        active, reason = flag(active, "active"), text(reason, "reason")
        before = self.snapshot.kill_switch
        self.snapshot.kill_switch = active
        self.snapshot.kill_switch_reason = reason
        if before is False and active:
            self.snapshot.counters["kill_switch_activations",] += 1
        if before is not None and before != active:
            self._write_status()

    @_never_raises
    def model(self, model: ModelInUse | None, *, load_failed: bool = False) -> None:
        """Which model is in use; `None` where there is none."""
        failed = flag(load_failed, "load_failed")
        if model is not None:
            _check_model(model)
        self.snapshot.model = model
        self.snapshot.model_known = True
        self.snapshot.counters["model_load_failures",] += int(failed)
        self._write_status()

    @_never_raises
    def account(self, *, equity: float, peak: float, daily_pnl_ratio: float) -> None:
        """The account marked to market; `peak` is the highest equity at a candle's close."""
        now, highest, daily = number(equity, "equity"), number(peak, "peak"), number(daily_pnl_ratio, "daily_pnl_ratio")
        if highest <= 0:
            raise WrongCallError("peak", f"is {highest:g}; pass the highest equity so far, which is positive")
        snapshot = self.snapshot
        snapshot.daily_pnl_ratio = daily
        snapshot.equity = now
        snapshot.equity_peak = highest
        snapshot.drawdown_ratio = max(0.0, 1 - now / highest)

    @_never_raises
    def position(self, symbol: str, position: Position | None) -> None:
        """The open position in a symbol; `None` is flat."""
        if position is not None:
            if not isinstance(position, Position):
                raise WrongCallError("position", "is none; pass a Position, or None for flat")
            one_of(position.side, ("long", "short"), "position.side")
            number(position.size_ratio, "position.size_ratio")
        self.snapshot.positions[text(symbol, "symbol")] = position

    @_never_raises
    def trade(self, trade: ClosedTrade) -> None:
        """A trade was closed."""
        if not isinstance(trade, ClosedTrade):
            raise WrongCallError("trade", "is none; pass a ClosedTrade")
        profit, fees = number(trade.profit, "trade.profit"), number(trade.fees, "trade.fees")
        text(trade.symbol, "trade.symbol")
        counters, currency = self.snapshot.counters, self.snapshot.currency
        counters["trades_closed", trade.symbol] += 1
        counters["trades_won", trade.symbol] += int(trade.won)
        name = "realized_profit" if trade.won else "realized_loss"
        counters[name, currency] += abs(profit)
        # A rebate is a negative fee, and a counter never falls.
        counters["fees_paid", currency] += max(fees, 0.0)
        self.snapshot.last_trade_at = self._clock()

    @_never_raises
    def recent_trades(self, count: int) -> None:
        """How many trades closed in the last 24 hours of market time."""
        self.snapshot.recent_trades = whole(count, "count")

    @_never_raises
    def trading_expected(self, *, expected: bool) -> None:
        """Whether the market is open and the bot is meant to trade in it."""
        flag(expected, "expected")
        if self.snapshot.trading_expected != expected:
            self.snapshot.trading_expected_since = self._clock()
        self.snapshot.trading_expected = expected

    def note_error(self, cause: str, error: Exception) -> None:
        """Count something that went wrong inside the exporter, and log it the first time."""
        self.snapshot.counters["instrumentation_errors", cause] += 1
        self.snapshot.wrong_calls[cause] = str(error)
        if cause not in self._logged:
            self._logged.add(cause)
            # A wrong call says itself what to do; of anything else the traceback is wanted.
            known = isinstance(error, WrongCallError)
            logger.opt(exception=None if known else error).error(
                "exporter: {}", f"{cause}: {error}" if known else cause
            )

    def _create_counters(self, symbols: Sequence[tuple[str, str]], outcomes: Iterable[str]) -> None:
        counters = self.snapshot.counters
        names = ("exchange_requests", "websocket_reconnects", "kill_switch_activations", "model_load_failures")
        for name in (*names, "status_file_write_failures"):
            counters[name,] = 0
        for state in GUARD_STATES[1:]:
            counters["guard_transitions", state] = 0
        for name in ("realized_profit", "realized_loss", "fees_paid"):
            counters[name, self.snapshot.currency] = 0
        for symbol, timeframe in symbols:
            counters["candle_gaps", symbol, timeframe] = 0
            for name in ("trades_closed", "trades_won", "regime_changes"):
                counters[name, symbol] = 0
            for outcome in outcomes:
                counters["signals", symbol, outcome] = 0

    def _write_status_regularly(self) -> None:
        while not self._stopped.is_set():
            self._write_status_safely()
            self._stopped.wait(self._status_interval)
        self._write_status_safely()

    def _write_status_safely(self) -> None:
        try:
            self._write_status()
        except Exception as error:  # noqa: BLE001 - the border: this thread would end, and no file be written again
            self.note_error(f"status file: {type(error).__name__}", error)

    def _write_status(self) -> None:
        if self._status_file is None:
            return
        now = self._clock()
        try:
            self._status_file.replace(self.status(), now=now, lifetime_seconds=2 * self._status_interval)
        except (OSError, LockTimeoutError) as error:
            self.snapshot.counters["status_file_write_failures",] += 1
            logger.warning("the status file was not written: {}", error)
            return
        self.snapshot.status_written_at = now


def _labels(key: Any, name: str) -> tuple[str, ...]:
    if not isinstance(key, tuple):
        raise WrongCallError(name, "has a key that is no tuple of label values")
    return tuple(text(part, name) for part in key)


def _check_model(model: Any) -> None:
    if not isinstance(model, ModelInUse):
        raise WrongCallError("model", "is none; pass a ModelInUse, or None where there is none")
    for name in ("version", "standing"):
        text(getattr(model, name), f"model.{name}")
    for name in ("trained_at", "data_end", "loaded_at"):
        number(getattr(model, name), f"model.{name}")
