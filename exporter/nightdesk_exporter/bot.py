"""The exporter as the bot's loop sees it: one object, one call for each thing that happens.

No call raises into the loop: what goes wrong inside is counted in `instrumentation_errors_total` and logged once a
cause. Arguments are checked against their types first, so that a wrong one changes nothing and never reaches a scrape.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Concatenate, ParamSpec, Self

from loguru import logger
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.files import LockTimeoutError
from nightdesk_core.trades import ClosedTrade
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from pydantic import ConfigDict, validate_call

from nightdesk_exporter.catalogue import GUARD_STATES, REGIMES
from nightdesk_exporter.collector import SnapshotCollector
from nightdesk_exporter.health import Health, assess
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.snapshot import CandleSeen, CandlesExpected, Limits, ModelInUse, Position, Snapshot
from nightdesk_exporter.status import sections
from nightdesk_exporter.status_file import StatusFile

P = ParamSpec("P")
_CHECKED = ConfigDict(allow_inf_nan=False, revalidate_instances="always")


def _never_raises(call: Callable[Concatenate[BotExporter, P], None]) -> Callable[Concatenate[BotExporter, P], None]:
    checked = validate_call(config=_CHECKED)(call)

    @functools.wraps(call)
    def guarded(self: BotExporter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            checked(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the border: instrumentation must not stop the bot
            self.note_error(f"{call.__name__}: {type(error).__name__}", error)

    return guarded


class BotExporter:
    """Observes one bot. A context manager: on entry it serves, on exit it stops.

    `symbols` are (symbol, timeframe) pairs, `outcomes` the values of `signals_total{outcome}`: their counters exist
    at 0 from the start. `limits` are in wall time as they hold at the bot's speed.
    """

    def __init__(
        self,
        name: str,
        *,
        symbols: Sequence[tuple[str, str]],
        outcomes: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = 8700,
        limits: Limits | None = None,
        status_file: StatusFile | None = None,
        status_interval_seconds: float = 300.0,
        currency: str = "USDT",
        clock: WallClock = system_clock,
    ) -> None:
        self._name = name
        self._clock = clock
        self._limits = limits or Limits()
        self._address = (host, port)
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
        self._server = ExporterServer(self.registry, host=host, port=port, health=self.health, status=self.status)
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
        self._limits = self._collector.limits = limits

    @_never_raises
    def heartbeat(self) -> None:
        """The loop turned."""
        self.snapshot.heartbeat_at = self._clock()

    @_never_raises
    def contact(self, channel: str) -> None:
        """The exchange answered on `rest` or `ws`."""
        self.snapshot.contact_at[channel] = self._clock()

    @_never_raises
    def request(self, *, failure: str | None = None) -> None:
        """A request to the exchange ended; `failure` names why it failed."""
        self.snapshot.counters["exchange_requests",] += 1
        if failure is not None:
            self.snapshot.counters["exchange_request_failures", failure] += 1

    @_never_raises
    def connection(self, *, connected: bool, reconnect: bool = False) -> None:
        """The candle stream connected or broke."""
        self.snapshot.connected = connected
        self.snapshot.counters["websocket_reconnects",] += int(reconnect)

    @_never_raises
    def clock_offset(self, seconds: float) -> None:
        """By how much the exchange's clock is ahead of ours, in wall time."""
        self.snapshot.clock_offset = seconds

    @_never_raises
    def expect_candles(self, symbol: str, timeframe: str, *, interval_seconds: float | None) -> None:
        """From now on a candle is expected every `interval_seconds` of wall time: its absence is counted from here.

        `None` for none, as while the symbol's market is closed.
        """
        if interval_seconds is not None:
            self.snapshot.candles_expected[symbol, timeframe] = CandlesExpected(self._clock(), interval_seconds)
            return
        self.snapshot.candles_expected.pop((symbol, timeframe), None)
        self.snapshot.candles.pop((symbol, timeframe), None)
        self.snapshot.decided_at.pop(symbol, None)

    @_never_raises
    def candle(self, symbol: str, timeframe: str, *, close_time: float) -> None:
        """A confirmed candle was received; `close_time` is market time."""
        self.snapshot.candles[symbol, timeframe] = CandleSeen(self._clock(), close_time)
        self.snapshot.market_time = close_time

    @_never_raises
    def gap_repaired(self, symbol: str, timeframe: str) -> None:
        """Missing candles were fetched."""
        self.snapshot.counters["candle_gaps", symbol, timeframe] += 1

    @_never_raises
    def decision(self, symbol: str, *, outcome: str, regime: str) -> None:
        """A candle was decided on."""
        _one_of(REGIMES, regime)
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
        _one_of(GUARD_STATES, state)
        self.snapshot.guard = state
        self.snapshot.guard_size_multiplier = size_multiplier
        self.snapshot.guard_values = dict(values)
        self.snapshot.guard_limits = dict(limits)

    @_never_raises
    def guard_moved(self, to: str, *, reason: str) -> None:
        """The guard changed its state."""
        _one_of(GUARD_STATES, to)
        self.snapshot.guard_reason = reason
        self.snapshot.counters["guard_transitions", to] += 1
        self._write_status()

    @_never_raises
    def kill_switch(self, *, active: bool, reason: str = "") -> None:
        """Whether the kill switch is active."""
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
        self.snapshot.model = model
        self.snapshot.model_known = True
        self.snapshot.counters["model_load_failures",] += int(load_failed)
        self._write_status()

    @_never_raises
    def account(self, *, equity: float, peak: float, daily_pnl_ratio: float) -> None:
        """The account marked to market; `peak` is the highest equity at a candle's close."""
        drawdown = max(0.0, 1 - equity / peak)
        self.snapshot.daily_pnl_ratio = daily_pnl_ratio
        self.snapshot.equity = equity
        self.snapshot.equity_peak = peak
        self.snapshot.drawdown_ratio = drawdown

    @_never_raises
    def position(self, symbol: str, position: Position | None) -> None:
        """The open position in a symbol; `None` is flat."""
        if position is not None:
            _one_of(("long", "short"), position.side)
        self.snapshot.positions[symbol] = position

    @_never_raises
    def trade(self, trade: ClosedTrade) -> None:
        """A trade was closed."""
        counters, currency = self.snapshot.counters, self.snapshot.currency
        counters["trades_closed", trade.symbol] += 1
        counters["trades_won", trade.symbol] += int(trade.won)
        name = "realized_profit" if trade.won else "realized_loss"
        counters[name, currency] += abs(trade.profit)
        counters["fees_paid", currency] += trade.fees
        self.snapshot.last_trade_at = self._clock()

    @_never_raises
    def recent_trades(self, count: int) -> None:
        """How many trades closed in the last 24 hours of market time."""
        self.snapshot.recent_trades = count

    @_never_raises
    def trading_expected(self, *, expected: bool) -> None:
        """Whether the market is open and the bot is meant to trade in it."""
        if self.snapshot.trading_expected != expected:
            self.snapshot.trading_expected_since = self._clock()
        self.snapshot.trading_expected = expected

    def note_error(self, cause: str, error: Exception) -> None:
        """Count something that went wrong inside the exporter, and log it the first time."""
        self.snapshot.counters["instrumentation_errors", cause] += 1
        if cause not in self._logged:
            self._logged.add(cause)
            logger.opt(exception=error).error("exporter: {}", cause)

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


def _one_of(known: Sequence[str], value: str) -> None:
    """Raise where `value` is none of a state set: all its states would be 0."""
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
