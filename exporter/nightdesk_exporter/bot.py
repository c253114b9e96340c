"""The exporter as the bot's loop sees it: one object, one context manager, one call for each thing that happens."""

from __future__ import annotations

import asyncio
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

from nightdesk_exporter.calls.alerts import AlertCalls
from nightdesk_exporter.calls.exchange import ExchangeCalls
from nightdesk_exporter.calls.market import MarketCalls
from nightdesk_exporter.calls.model import ModelCalls
from nightdesk_exporter.calls.money import MoneyCalls
from nightdesk_exporter.calls.trading import TradingCalls
from nightdesk_exporter.collector import COLLECTORS, SnapshotCollector
from nightdesk_exporter.declared import declared, limits_of, positive
from nightdesk_exporter.health.assessment import assess, stalled
from nightdesk_exporter.health.checkup import Checkup
from nightdesk_exporter.health.hang_watch import HangWatch, Patience, where_it_hangs
from nightdesk_exporter.health.health_check_thread import HealthCheckThread
from nightdesk_exporter.health.heartbeat import beat_of
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.logs import count_messages
from nightdesk_exporter.metrics.catalogue import GUARD_STATES, LOG_LEVELS
from nightdesk_exporter.metrics.registry import SafeRegistry
from nightdesk_exporter.metrics.shared import Shared, process_collectors
from nightdesk_exporter.push import PushTo
from nightdesk_exporter.running import ended, take_over
from nightdesk_exporter.sigterm import OnSigterm, Sigterm
from nightdesk_exporter.snapshot import CandlesExpected, Limits, Snapshot, Trouble
from nightdesk_exporter.status import recall, sections
from nightdesk_exporter.status_file import StatusFile

if TYPE_CHECKING:
    from nightdesk_alerts import Alerting, Beat, Heartbeat, HeartbeatSender
    from prometheus_client import CollectorRegistry

    from nightdesk_exporter.apps import AsgiApp, HostedPages, WsgiApp
    from nightdesk_exporter.push import Pusher
    from nightdesk_exporter.server import ExporterServer

_HEALTH_LEVELS = {Verdict.UNHEALTHY: "ERROR", Verdict.DEGRADED: "WARNING"}


class BotExporter(ExchangeCalls, MarketCalls, TradingCalls, MoneyCalls, ModelCalls, AlertCalls):
    """Observes one bot. A context manager, also an asynchronous one: on entry it serves, on exit it stops.

    `symbols` are (symbol, timeframe) pairs, or symbols whose `timeframe` is the same: a candle of each is expected from
    the start on, as often as the timeframe says, and a decision on it. A bot without candles passes an empty list, one
    without a model `model=None`, and one that decides on no candle, as a grid or a market maker, `decisions=False`:
    nothing of the kind is expected then. `outcomes` are the values of `signals_total{outcome}`, `failures` names of
    exceptions in `exchange_request_failures_total{reason}`, as far as they are known beforehand. `limits` are in wall
    time as they hold at the bot's speed. `health_check_interval_seconds` is how often the status file is written, which
    it is also at once when something changes; the health follows within a second of what changes it, be it a limit that
    passes. `alerting` has the bot itself send alerts: about guard and kill
    switch at once, and about all that its health check finds where no Alertmanager is configured; `alert_spool` keeps
    what is not yet delivered over a restart. `before_check` is called before each regular check, off the loop's thread,
    to report what is slow to find out. `secrets` are hidden by value in whatever is shown. `strict` has wrong calls
    raise `WrongCallError`: for tests and first tries. `web_config_file` brings TLS and passwords. `allowed_hosts` are
    the names by which it answers without a password; `None` is what docs/exporter.md says of them.
    `pause_garbage_collection` has the process collect no garbage while a scrape is rendered. `exit_when_hung` has the
    process end with `HUNG_EXIT_CODE`, after people were told, once its loop stands still for longer than its limit.
    `heartbeat_url` is that of a check at healthchecks.io or Uptime Kuma, as docs/own-bot.md has them; a `Heartbeat`
    says more of it. `port=None` serves nothing: then there are `asgi_app()`, `wsgi_app()`, a `registry` of the bot's
    own, in which ours lie beside the others for the length of the block, and `push_to`, a Pushgateway. `on_sigterm`
    says what SIGTERM does where nobody handles it: `end` the block, end it and `tell` people, or `leave` it alone.
    """

    def __init__(
        self,
        name: str,
        *,
        symbols: Sequence[tuple[str, str] | str],
        timeframe: str | None = None,
        model: bool | None = True,
        decisions: bool = True,
        outcomes: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int | None = 8700,
        registry: CollectorRegistry | None = None,
        push_to: str | PushTo | None = None,
        web_config_file: Path | str | None = None,
        allowed_hosts: Sequence[str] | None = None,
        pause_garbage_collection: bool = False,
        failures: Iterable[str] = ("ConnectionError", "TimeoutError"),
        limits: Limits | None = None,
        status_file: StatusFile | Path | str | None = None,
        health_check_interval_seconds: float = 300.0,
        currency: str = "USDT",
        alerting: Alerting | None = None,
        alert_spool: Path | str | None = None,
        before_check: Callable[[BotExporter], None] | None = None,
        secrets: Iterable[str] = (),
        strict: bool = False,
        exit_when_hung: bool = False,
        heartbeat_url: str | Heartbeat | None = None,
        on_sigterm: OnSigterm = "end",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns the wall time in seconds since the Unix epoch.

        Raises `ExporterError` where a name or a timeframe is none, or a limit or the interval is no positive number,
        and `HeartbeatError` where the heartbeat's URL is no use.
        """
        from importlib.metadata import version  # 5 ms, which an import alone need not pay

        started = WallTime(clock())
        own = declared(name, symbols, timeframe, model=model, decisions=decisions, currency=currency)
        snapshot = Snapshot(started_at=started, currency=own.currency, without=own.without)
        heartbeat = _heartbeat(heartbeat_url)
        hidden = [*secrets, *([] if heartbeat is None else [heartbeat.url])]
        super().__init__(
            snapshot, limits_of(Limits() if limits is None else limits), clock=clock, strict=strict, secrets=hidden
        )
        self._heartbeat = heartbeat
        self._heartbeat_sender: HeartbeatSender | None = None
        self._name = own.name
        self._address = (host, port)
        self._web_config_file = None if web_config_file is None else Path(web_config_file)
        self._allowed_hosts = allowed_hosts
        self._pause_garbage_collection = pause_garbage_collection
        self._status_file = StatusFile(status_file) if isinstance(status_file, (Path, str)) else status_file
        self._interval = positive("health_check_interval_seconds", health_check_interval_seconds)
        self._before_check = before_check
        self._status_failed = False
        self._server: ExporterServer | None = None
        self._forked = False
        self._registered = ExitStack()
        self._stop_counting: Callable[[], None] | None = None
        self._push_to = PushTo(push_to) if isinstance(push_to, str) else push_to
        self._pusher: Pusher | None = None
        self._hosted: HostedPages | None = None
        self._sigterm = Sigterm(on_sigterm)
        self._begun = self._ended = False
        for market, interval in own.intervals.items():
            self._symbol(market[0])
            snapshot.candles_expected[market] = CandlesExpected(started, interval)
        self.snapshot.gauges["config_loaded_timestamp_seconds",] = started.seconds
        self._create_counters(tuple(own.intervals), tuple(outcomes))
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
        self._health_checks = HealthCheckThread(self._turn, look=self._look, interval_seconds=self._interval)
        self._patience = Patience()
        self._hang_watch = HangWatch(self._is_hung, farewell=self._end_hung, end=os._exit) if exit_when_hung else None
        self._ours = SnapshotCollector(
            self.snapshot,
            bot=name,
            version=version("nightdesk"),
            limits=lambda: self._limits,
            health=self.health,
            failed=self._collector_failed,
        )
        self._shared = Shared(registry, self._ours, started=started) if registry is not None else None
        self.registry = SafeRegistry(self._collector_failed) if registry is None else registry
        if self._shared is None:
            for collector in process_collectors(started):
                self.registry.register(collector)
            self.registry.register(self._ours)

    def __enter__(self) -> Self:
        """Serve, once. Raises `ExporterError` where the port is taken, `WebConfigError` where that file is no use.

        An exporter of the same bot that this process has already ends.
        """
        if self._begun:
            raise RuntimeError("an exporter serves once; make a new one")
        take_over(self)
        if self._shared is not None:
            self._shared.join()
        try:
            self._serve()
        except BaseException:
            self._leave()
            raise
        self._begun = True
        self._sigterm.begin()
        host, port = self._address
        self._registered.enter_context(registered(self._record(), identity=f"{host}:{port} {self._status_path}"))
        self._stop_counting = count_messages(lambda level: self._count("log_messages", level))
        self._alerts.__enter__()
        self._health_checks.start()
        if self._hang_watch is not None:
            self._hang_watch.start()
        if self._heartbeat is not None:
            self._start_heartbeat(self._heartbeat)
        if self._push_to is not None:
            self._start_pushing(self._push_to)
        tell_of_forks(self)
        return self

    def _serve(self) -> None:
        host, port = self._address
        if port is None:
            return
        from nightdesk_exporter.server import ExporterServer  # who only imports does not pay for what serves

        self._server = ExporterServer(host=host, port=port, **self._pages())

    def _pages(self) -> dict[str, Any]:
        """Return what is served, by a server of ours or by somebody else's."""
        return {
            "registry": self.registry if self._shared is None else self._shared.seen(self._collector_failed),
            "health": self.health,
            "stalled": self._stalled,
            "status": self.status,
            "page": self._page,
            "web_config_file": self._web_config_file,
            "allowed_hosts": self._allowed_hosts,
            "pause_garbage_collection": self._pause_garbage_collection,
        }

    def asgi_app(self) -> AsgiApp:
        """Return the exporter's pages as an ASGI application, to be mounted in a server of the bot's own.

        It asks for the same password, and answers by the same names: without `allowed_hosts` addresses and localhost.
        Raises `ExporterError` where the web configuration file has TLS: that is the other server's.
        """
        return self._in_other_servers().asgi

    def wsgi_app(self) -> WsgiApp:
        """Return the same as a WSGI application."""
        return self._in_other_servers().wsgi

    def _in_other_servers(self) -> HostedPages:
        if self._hosted is None:
            from nightdesk_exporter.apps import hosted_pages

            self._hosted = hosted_pages(**self._pages())
        return self._hosted

    def _start_pushing(self, to: PushTo) -> None:
        from nightdesk_exporter.push import Pusher

        self._pusher = Pusher(to, self.registry, bot=self._name, failed=lambda: self._count("pushes_failed"))
        self._pusher.start()

    def _leave(self) -> None:
        """Take our metrics out of a registry that is not ours, and let another exporter of the bot begin."""
        if self._shared is not None:
            self._shared.leave()
        ended(self)

    def forked(self) -> None:
        """In a child of the bot's process, let go of what is the bot's: the calls do nothing, and say so once."""
        for served in (self._server, self._hosted):
            if served is not None:
                served.forked()
        self._checkup.forked()
        self._health_checks.forked()
        self._forked = True
        self._vanish()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        if self._forked or self._ended:
            return
        self._ended = True
        self._sigterm.finish()
        if self._hang_watch is not None:
            self._hang_watch.stop()
        if error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit, asyncio.CancelledError)):
            self.snapshot.stopped_by = self._without_secrets(f"{type(error).__name__}: {error}")
            self._tell("CRITICAL", f"the bot ends by {self.snapshot.stopped_by}")
            self._send_last_words()
        elif self._sigterm.is_to_be_told:
            self.snapshot.stopped_by = "SIGTERM"
            self._send_last_words()
        self._end_reports()
        for served in (self._server, self._hosted):
            if served is not None:
                served.close()
        self._leave()
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
    def place(self) -> tuple[str, str, int | None]:
        """The bot's name, and where its exporter was told to serve."""
        return (self._name, *self._address)

    @property
    def url(self) -> str:
        """Where the running exporter serves."""
        if self._server is None:
            raise RuntimeError("the exporter serves only inside its with block, and not with port=None")
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
            url="" if self._server is None else self.url,
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

    def _stalled(self) -> str:
        return stalled(self.snapshot, self._limits, now=self._now())

    def _is_hung(self, elapsed_seconds: float) -> str:
        """Return why the process is to end; a loop that works on a candle within its limit is let be."""
        received = [at for at, _ in dict(self.snapshot.candles_wall_and_market).values()]
        over = self._patience.is_over(
            elapsed_seconds,
            heartbeat=self.snapshot.heartbeat_at_wall,
            candle=max(received, default=None),
            limit_seconds=self._limits.heartbeat_seconds,
        )
        return self._stalled() if over else ""

    def _end_hung(self, cause: str) -> None:
        """Tell people and the status file that the process ends, and the log where it hung."""
        self.snapshot.stopped_by = f"itself, as its loop hung: {cause}"
        self._tell("CRITICAL", f"the bot ends by {self.snapshot.stopped_by}; its supervisor is to start it again")
        logger.critical("the main thread stands at\n{}", self._without_secrets(where_it_hangs()))
        self._send_last_words()
        self._end_reports()

    def _end_reports(self) -> None:
        """Write the last status, and let what was sent arrive."""
        if self._heartbeat_sender is not None:
            self._heartbeat_sender.stop(
                f"{self._name}: the bot has ended by an error." if self.snapshot.stopped_by else None
            )
        self._health_checks.stop()
        if self._pusher is not None:
            self._pusher.stop()
        self._alerts.__exit__()

    def _start_heartbeat(self, heartbeat: Heartbeat) -> None:
        from nightdesk_alerts import HeartbeatSender  # with requests, for who has a heartbeat

        self._heartbeat_sender = HeartbeatSender(
            heartbeat, self._beat, sent=lambda: self._count("heartbeats_sent"), failed=self._heartbeat_failed
        )
        self._heartbeat_sender.start()

    def _beat(self) -> tuple[Beat | None, str]:
        try:
            return beat_of(self._name, self.health())
        except Exception as error:  # noqa: BLE001 - the border: without a health there is no heartbeat, and the next may be
            self.note_error(f"heartbeat: {type(error).__name__}", error)
            return None, ""

    def _heartbeat_failed(self, problem: str) -> None:
        self._count("heartbeats_failed")
        text = f"the heartbeat did not arrive outside: {problem}"
        self.snapshot.troubles["heartbeat_unsent"] = Trouble(self._now(), text)

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
            self._follow()
            status = self.status()
            return self._status_file is None or self._write_status(self._status_file, status)
        except Exception as error:  # noqa: BLE001 - the border: this thread would end, and no file be written again
            self.note_error(f"keeper: {type(error).__name__}", error)
            return False

    def _look(self) -> None:
        """Check the health, and send its alerts, where a limit has passed or something was told that may change it."""
        due = self._checkup.due
        if not self._touched and (due is None or self._now() < due):
            return
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - the border: this thread would end, and nobody be told again
            self.note_error(f"keeper: {type(error).__name__}", error)

    def _follow(self) -> None:
        self._touched = False
        self._issue_alerts.follow(self.health(), self.snapshot, self._limits)

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
            # A bot without a model leaves out that section, and takes away what one before it has written there.
            file.replace({"model": None, **status}, now=now, lifetime_seconds=2 * self._interval)
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
        for name in ("heartbeats_sent", "heartbeats_failed", "pushes_failed"):
            self._create(name)
        self._create("alerts_sent", SENT_PATHS)
        self._create("alerts_dropped", DROP_REASONS)
        self._create("collector_errors", COLLECTORS)
        self._create("log_messages", LOG_LEVELS)
        self._create("guard_transitions", GUARD_STATES[1:])
        for name in ("deposits", "withdrawals", "realized_profit", "realized_loss", "fees_paid"):
            self._create(name, (self.snapshot.currency,))
        for name in ("trades_closed", "trades_won", "regime_changes"):
            self._create(name, names)
        for symbol, timeframe in symbols:
            self._create("candle_gaps", (symbol,), (timeframe,))
        self._create("signals", names, outcomes)


def _heartbeat(given: str | Heartbeat | None) -> Heartbeat | None:
    if not given:
        return None
    from nightdesk_alerts import Heartbeat

    return Heartbeat(given) if isinstance(given, str) else given
