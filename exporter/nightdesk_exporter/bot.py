"""The exporter as the bot's loop sees it: one object, one context manager, one call for each thing that happens."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loguru import logger
from nightdesk_alerts import DROP_REASONS, SENT_PATHS
from nightdesk_alerts.catalogue import DOWN
from nightdesk_core.bots.record import BotRecord
from nightdesk_core.bots.registration import registered
from nightdesk_core.clock import WallTime
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import LockTimeoutError
from nightdesk_core.forks import tell_of_forks
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from nightdesk_exporter.calls.alerts import AlertCalls
from nightdesk_exporter.calls.exchange import ExchangeCalls
from nightdesk_exporter.calls.market import MarketCalls
from nightdesk_exporter.calls.model import ModelCalls
from nightdesk_exporter.calls.money import MoneyCalls
from nightdesk_exporter.calls.trading import TradingCalls
from nightdesk_exporter.collector import COLLECTORS, SnapshotCollector
from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.health.assessment import assess
from nightdesk_exporter.health.checkup import Checkup
from nightdesk_exporter.health.health_check_thread import HealthCheckThread
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.logs import count_messages
from nightdesk_exporter.metrics.catalogue import GUARD_STATES, LOG_LEVELS
from nightdesk_exporter.metrics.registry import SafeRegistry
from nightdesk_exporter.snapshot import CandlesExpected, Limits, Snapshot, Trouble
from nightdesk_exporter.status import recall, sections
from nightdesk_exporter.status_file import StatusFile
from nightdesk_exporter.timeframes import seconds_of

if TYPE_CHECKING:
    from nightdesk_alerts import Alerting

    from nightdesk_exporter.server import ExporterServer

_HEALTH_LEVELS = {Verdict.UNHEALTHY: "ERROR", Verdict.DEGRADED: "WARNING"}


class BotExporter(ExchangeCalls, MarketCalls, TradingCalls, MoneyCalls, ModelCalls, AlertCalls):
    """Observes one bot. A context manager, also an asynchronous one: on entry it serves, on exit it stops.

    `symbols` are (symbol, timeframe) pairs: a candle of each is expected from the start on, as often as the timeframe
    says, and a decision on it. `outcomes` are the values of `signals_total{outcome}`, `failures` names of exceptions
    in `exchange_request_failures_total{reason}`, as far as they are known beforehand. `limits` are in wall time as they
    hold at the bot's speed. `health_check_interval_seconds` is how often the health is checked and the status file
    written, both also at once when something changes. `alerting` has the bot itself send alerts: about guard and kill
    switch at once, and about all that its health check finds where no Alertmanager is configured; `alert_spool` keeps
    what is not yet delivered over a restart. `before_check` is called before each regular check, off the loop's thread,
    to report what is slow to find out. `secrets` are hidden by value in whatever is shown. `strict` has wrong calls
    raise `WrongCallError`: for tests and first tries. `web_config_file` brings TLS and passwords. `allowed_hosts` are
    the names by which it answers without a password; `None` is what docs/exporter.md says of them.
    `pause_garbage_collection` has the process collect no garbage while a scrape is rendered.
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
        allowed_hosts: Sequence[str] | None = None,
        pause_garbage_collection: bool = False,
        failures: Iterable[str] = ("ConnectionError", "TimeoutError"),
        limits: Limits | None = None,
        status_file: StatusFile | Path | None = None,
        health_check_interval_seconds: float = 300.0,
        currency: str = "USDT",
        alerting: Alerting | None = None,
        alert_spool: Path | None = None,
        before_check: Callable[[BotExporter], None] | None = None,
        secrets: Iterable[str] = (),
        strict: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns the wall time in seconds since the Unix epoch.

        Raises `ExporterError` where a timeframe is none, or a limit or the interval is no positive number.
        """
        from importlib.metadata import version  # 5 ms, which an import alone need not pay

        started = WallTime(clock())
        snapshot = Snapshot(started_at=started, currency=currency)
        super().__init__(snapshot, limits or Limits(), clock=clock, strict=strict, secrets=secrets)
        self._name = name
        self._address = (host, port)
        self._web_config_file = web_config_file
        self._allowed_hosts = allowed_hosts
        self._pause_garbage_collection = pause_garbage_collection
        self._status_file = StatusFile(status_file) if isinstance(status_file, Path) else status_file
        self._interval = health_check_interval_seconds
        _refuse_odd(self._limits, health_check_interval_seconds)
        self._before_check = before_check
        self._status_failed = False
        self._server: ExporterServer | None = None
        self._forked = False
        self._registered = ExitStack()
        self._stop_counting: Callable[[], None] | None = None
        for symbol, timeframe in symbols:
            self.snapshot.candles_expected[self._symbol(symbol), timeframe] = CandlesExpected(
                started, seconds_of(timeframe)
            )
        self.snapshot.gauges["config_loaded_timestamp_seconds",] = started.seconds
        self._create_counters(symbols, tuple(outcomes))
        self._create("exchange_request_failures", failures)
        if self._status_file is not None:
            recall(self.snapshot, self._status_file.read(), bot=name)
            self.snapshot.status_limit_seconds = 2 * self._interval
        # Loaded by the first exporter, not by whoever imports the class.
        from nightdesk_alerts import Alerting, AlertSender

        from nightdesk_exporter.health.issue_alerts import IssueAlerts

        self._alerts = AlertSender(
            name,
            alerting=alerting or Alerting(enabled=False),
            spool=alert_spool,
            count=self._alert_counted,
            unwritable=self.unwritable,
            clock=clock,
        )
        self._issue_alerts = IssueAlerts(self._alerts)
        self._checkup = Checkup(self._assess, on_change=self._health_changed)
        self._health_checks = HealthCheckThread(self._turn, interval_seconds=self._interval)
        self.registry = SafeRegistry(self._collector_failed)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.registry.register(
            SnapshotCollector(
                self.snapshot,
                bot=name,
                version=version("nightdesk"),
                limits=lambda: self._limits,
                health=self.health,
                failed=self._collector_failed,
            )
        )

    def __enter__(self) -> Self:
        """Serve, once. Raises `ExporterError` where the port is taken, `WebConfigError` where that file is no use."""
        if self._server is not None:
            raise RuntimeError("an exporter serves once; make a new one")
        from nightdesk_exporter.server import ExporterServer  # who only imports does not pay for what serves

        host, port = self._address
        self._server = ExporterServer(
            self.registry,
            host=host,
            port=port,
            health=self.health,
            status=self.status,
            page=self._page,
            web_config_file=self._web_config_file,
            allowed_hosts=self._allowed_hosts,
            pause_garbage_collection=self._pause_garbage_collection,
        )
        self._registered.enter_context(registered(self._record(), identity=f"{host}:{port} {self._status_path}"))
        self._stop_counting = count_messages(lambda level: self._count("log_messages", level))
        self._alerts.__enter__()
        self._health_checks.start()
        tell_of_forks(self)
        return self

    def forked(self) -> None:
        """In a child of the bot's process, let go of what is the bot's: the calls do nothing, and say so once."""
        if self._server is not None:
            self._server.forked()
        self._checkup.forked()
        self._health_checks.forked()
        self._forked = True
        self._vanish()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        if self._forked:
            return
        if error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit, asyncio.CancelledError)):
            self.snapshot.stopped_by = self._without_secrets(f"{type(error).__name__}: {error}")
            self._tell("CRITICAL", f"the bot ends by {self.snapshot.stopped_by}")
            self._send_last_words()
        self._health_checks.stop()
        self._alerts.__exit__()
        if self._server is not None:
            self._server.close()
        self._registered.close()
        if self._stop_counting is not None:
            self._stop_counting()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *ended: Any) -> None:
        # The last status is written and connections are ended: not while other tasks wait.
        await asyncio.to_thread(self.__exit__, *ended)

    @property
    def name(self) -> str:
        """What the bot is called."""
        return self._name

    @property
    def url(self) -> str:
        """Where the running exporter serves."""
        if self._server is None:
            raise RuntimeError("the exporter serves only inside its with block")
        return self._server.url

    def health(self) -> Health:
        """Check the bot's health now."""
        return self._checkup.look(self._now())

    @property
    def held_in_memory(self) -> dict[str, str]:
        """What of the bot's cannot be written, by the reason: its status file and its spool, and what it told of."""
        return {what: why.text for what, why in dict(self.snapshot.unwritable).items() if why is not None}

    def status(self) -> dict[str, Any]:
        """Return the status file's sections of the bot as of now."""
        running = not self._health_checks.is_stopped
        health, since = self.health(), self._checkup.verdict_since
        now = self._now()
        return sections(self.snapshot, health, health_since=since, bot=self._name, running=running, now=now)

    @property
    def _status_path(self) -> str:
        """Where the status file lies, absolute; empty where there is none."""
        return "" if self._status_file is None else str(self._status_file.path.absolute())

    def _record(self) -> BotRecord:
        return BotRecord(
            name=self._name,
            part="exporter",
            pid=os.getpid(),
            started_at=self.snapshot.started_at,
            url=self.url,
            status_file=self._status_path,
        )

    def changed(self) -> None:
        """Have health, status file and alerts follow at once, on the health check's thread."""
        self._health_checks.wake()

    def _page(self) -> str:
        from nightdesk_exporter.page import View, document  # loaded for the first who looks at it

        status, points = self.status(), self.snapshot.curve.points()
        return document(View(status, points, self._limits, now=self._now()))

    def _assess(self, now: WallTime) -> Health:
        return assess(self.snapshot, self._limits, now=now)

    def _health_changed(self, before: Health, after: Health) -> None:
        causes = "; ".join(issue.cause for issue in after.issues)
        told = (
            f"health: {before.verdict} to {after.verdict}"
            if before.verdict != after.verdict
            else f"health is still {after.verdict}"
        )
        self._tell(_HEALTH_LEVELS.get(after.verdict, "INFO"), f"{told}{': ' if causes else ''}{causes}")
        self.changed()

    def _collector_failed(self, name: str, error: Exception) -> None:
        self._count("collector_errors", name)
        text = self._without_secrets(f"the metrics of {name} cannot be collected: {type(error).__name__}: {error}")
        self.snapshot.troubles["collector_failing"] = Trouble(self._now(), text)
        if f"collector {name}" not in self._logged:
            self._logged.add(f"collector {name}")
            logger.error("exporter: {}{}", text, self._trace(error))

    def _alert_counted(self, name: str, *labels: str) -> None:
        self._count(name, *labels)
        if name == "alerts_dropped":
            text = f"an alert of the bot's own reached nobody: {', '.join(labels)}"
            # It shows at the next check. Were it to wake the thread, a full queue would be told of itself without end.
            self.snapshot.troubles["alerts_dropped"] = Trouble(self._now(), text)

    def _send_last_words(self) -> None:
        """Tell people that the bot has died, where no Alertmanager's rule would miss it."""
        if not self._alerts.alerting.alertmanagers:
            (rule,) = DOWN.rules
            self.send_alert(
                rule.name,
                severity=rule.severity,
                summary=rule.summary,
                description=f"It ended by {self.snapshot.stopped_by}.",
                lasting=False,
            )

    def _turn(self, regular: bool) -> bool:  # noqa: FBT001 - the thread's signature
        """Check the health, send its alerts, write the status file. Return whether all succeeded."""
        if regular:
            self._refresh()
        try:
            self._issue_alerts.follow(self.health(), self.snapshot, self._limits)
            status = self.status()
            return self._status_file is None or self._write_status(self._status_file, status)
        except Exception as error:  # noqa: BLE001 - the border: this thread would end, and no file be written again
            self.note_error(f"keeper: {type(error).__name__}", error)
            return False

    def _refresh(self) -> None:
        if self._before_check is None:
            return
        try:
            self._before_check(self)
        except Exception as error:  # noqa: BLE001 - the border: somebody else's code, and the check must not wait for it
            self.note_error(f"before_check: {type(error).__name__}", error)

    def _write_status(self, file: StatusFile, status: dict[str, Any]) -> bool:
        now = self._now()
        try:
            file.replace(status, now=now, lifetime_seconds=2 * self._interval)
        except (OSError, LockTimeoutError) as error:
            self._count("status_file_write_failures")
            if isinstance(error, OSError):  # a lock that is held at the wrong moment is no disk that takes nothing
                self.unwritable("status file", reason_of(error))
            if not self._status_failed:
                logger.warning("the status file was not written: {}", error)
            self._status_failed = True
            return False
        if self._status_failed:
            logger.info("the status file is written again")
        self._status_failed = False
        self.unwritable("status file")
        self.snapshot.status_written_at = now
        return True

    def _create_counters(self, symbols: Sequence[tuple[str, str]], outcomes: Sequence[str]) -> None:
        names = tuple(symbol for symbol, _ in symbols)
        for name in ("exchange_requests", "websocket_reconnects", "kill_switch_activations", "model_load_failures"):
            self._create(name)
        for name in ("status_file_write_failures", "shadow_trades_closed", "alerts_retried"):
            self._create(name)
        self._create("alerts_sent", SENT_PATHS)
        self._create("alerts_dropped", DROP_REASONS)
        self._create("collector_errors", COLLECTORS)
        self._create("log_messages", LOG_LEVELS)
        self._create("guard_transitions", GUARD_STATES[1:])
        for name in ("realized_profit", "realized_loss", "fees_paid"):
            self._create(name, (self.snapshot.currency,))
        for name in ("trades_closed", "trades_won", "regime_changes"):
            self._create(name, names)
        for symbol, timeframe in symbols:
            self._create("candle_gaps", (symbol,), (timeframe,))
        self._create("signals", names, outcomes)


def _refuse_odd(limits: Limits, interval_seconds: float) -> None:
    for name, value in {**vars(limits), "health_check_interval_seconds": interval_seconds}.items():
        if not 0 < value < math.inf:
            raise ExporterError(f"{name} is {value}; it must be a positive number")
