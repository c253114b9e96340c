"""`send_alert()`: an alert leaves the bot without the bot's waiting for it.

The calls put what they are given into a queue and return. A thread of the sender's own keeps the ledger; each
destination has a lane, so that one that hangs delays no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loguru import logger
from nightdesk_core.clock import WallClock, WallTime, wall_clock
from nightdesk_core.forks import tell_of_forks

from nightdesk_alerts.alert import OPTIONAL_LABELS, condition_of, new_alert
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery.call_queue import CallQueue
from nightdesk_alerts.delivery.ledger import CAPACITY
from nightdesk_alerts.delivery.options import Count, SenderOptions, Unwritable, count_nothing, tell_nobody
from nightdesk_alerts.preferences import silenced

if TYPE_CHECKING:
    from nightdesk_alerts.delivery.worker import DeliveryWorker

_CALLS_FOR_EACH_PLACE = 8


class AlertSender:
    """Sends one bot's alerts. A context manager: on entry its thread starts; on exit it has a moment to finish.

    `spool` is a file that keeps what is not yet delivered; `unwritable` is called, from another thread, where it
    cannot be written and once it can again. `fallback_seconds` is how long the Alertmanagers have before
    the direct channels take over; `settle_seconds` how long after a start what lasts and comes from the spool waits for
    the bot to send it again or to withdraw it; `close_seconds` how long an exit may take. `clock` returns the
    wall time in seconds since the Unix epoch, `monotonic` measures waits.
    """

    def __init__(
        self,
        bot: str,
        *,
        alerting: Alerting,
        spool: Path | str | None = None,
        count: Count = count_nothing,
        unwritable: Unwritable = tell_nobody,
        fallback_seconds: float = 10.0,
        settle_seconds: float = 30.0,
        timeout_seconds: float = 5.0,
        close_seconds: float = 3.0,
        capacity: int = CAPACITY,
        clock: Callable[[], float | WallTime] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bot = bot
        self.alerting = alerting
        self.clock: WallClock = wall_clock(clock)
        self.options = SenderOptions(
            alerting=alerting,
            spool=None if spool is None else Path(spool),
            count=count,
            unwritable=unwritable,
            fallback_seconds=fallback_seconds,
            settle_seconds=settle_seconds,
            timeout_seconds=timeout_seconds,
            close_seconds=close_seconds,
            capacity=capacity,
            clock=self.clock,
            monotonic=monotonic,
        )
        self._muted = frozenset(silenced(alerting))
        self._calls: CallQueue[DeliveryWorker] = CallQueue(most=_CALLS_FOR_EACH_PLACE * capacity)
        self._takes = alerting.enabled
        self._thread: threading.Thread | None = None
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        if not self._takes:
            return self
        if not (self.alerting.alertmanagers or self.alerting.direct):
            logger.warning("alerts: no Alertmanager and no channel is configured; alerts reach nobody")
            self._takes = False
            return self
        # What delivers is loaded here: somebody who only measures does not pay for it.
        from nightdesk_alerts.delivery.worker import DeliveryWorker

        self._thread = threading.Thread(
            target=DeliveryWorker(self.options, self._calls).run, name="nightdesk-alerts", daemon=True
        )
        self._thread.start()
        tell_of_forks(self)
        return self

    def forked(self) -> None:
        """Send nothing in a child: its parent does."""
        self._takes, self._thread = False, None

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._takes = False
            self._calls.put(lambda worker: worker.close())
            self._thread.join(timeout=self.options.close_seconds + 1)
            self._thread = None

    def send_alert(
        self,
        alertname: str,
        *,
        severity: str,
        summary: str,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        lasting: bool = True,
    ) -> None:
        """Tell of an alert, without waiting and without ever raising. Again while it holds, it changes only the words.

        `labels` may hold symbol, timeframe and criterion. One that is `lasting` holds until `withdraw`; any other is an
        event, which is told once. What is sent before the sender has started waits for that.
        """
        if not self._takes:
            return
        try:
            alert = new_alert(
                self._identity(alertname, labels) | {"severity": str(severity)},
                summary=str(summary),
                description=str(description),
                lasting=bool(lasting),
                starts_at=self.clock().seconds,
            )
        except Exception as error:  # noqa: BLE001 - called from the trading loop
            self._invalid("send_alert", error)
            self._calls.offer(lambda worker: worker.count("alerts_dropped", "invalid"))
            return
        if alertname not in self._muted and not self._calls.offer(lambda worker: worker.take(alert)):
            self._calls.turned_away += 1

    def withdraw(self, alertname: str, labels: Mapping[str, str] | None = None) -> None:
        """The condition no longer holds: what has not gone out never will, and who was told directly hears of the end.

        Never waits and never raises.
        """
        if not self._takes:
            return
        try:
            condition = condition_of(self._identity(alertname, labels))
        except Exception as error:  # noqa: BLE001 - called from the trading loop
            self._invalid("withdraw", error)
            return
        self._calls.offer(lambda worker: worker.withdraw(condition))

    def _identity(self, alertname: str, labels: Mapping[str, str] | None) -> dict[str, str]:
        if not isinstance(alertname, str) or not alertname.strip():
            raise ValueError("it has no alertname")
        identity = {"alertname": alertname, "bot": self._bot}
        for name, text in (labels or {}).items():
            if name in OPTIONAL_LABELS:
                identity[name] = str(text)
            else:
                self._warn(f"{alertname}: {name} is no label of an alert and is left out; they are {OPTIONAL_LABELS}")
        return identity

    def _invalid(self, call: str, error: Exception) -> None:
        self._warn(f"{call} was given what it cannot use ({type(error).__name__}: {error}); the call is ignored")

    def _warn(self, message: str) -> None:
        if message not in self._warned and len(self._warned) < 100:
            self._warned.add(message)
            logger.warning("alerts: {}", message)
