"""A marked message down each way that an alert can take, to see whether it arrives before it must."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from nightdesk_core.clock import WallClock, iso, system_clock

from nightdesk_alerts.alert import Notification, new_alert
from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery.destinations import destinations
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Later, Refused
from nightdesk_alerts.moved_chats import MovedChats

DRILL_ALERT = "TradebotDrill"
"""The name of the alert that a drill sends."""
_LASTS_SECONDS = 60.0
"""Alertmanager tells its end a minute or so after its beginning."""


@dataclass(frozen=True)
class DrillResult:
    """What came of the message to one place, after how many seconds; `problem` is empty where it was taken."""

    place: str
    seconds: float
    problem: str = ""


class Drill:
    """One drill of one bot's alerts. Its alert is critical, as what wakes people, and says that nothing is wrong."""

    def __init__(
        self,
        bot: str,
        *,
        moved: MovedChats,
        timeout_seconds: float,
        clock: WallClock = system_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._moved = moved
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        now = clock().seconds
        # A bot that there is not: an alert of the bot's own would be muted by a critical one, and two drills are two.
        labels = {"alertname": DRILL_ALERT, "severity": "critical", "bot": f"{bot}, drill of {iso(now)}"}
        alert = new_alert(
            labels,
            summary="This is a drill: nothing is wrong.",
            description="Somebody tries whether alerts arrive here (nightdesk drill). There is nothing to be done.",
            lasting=True,
            starts_at=now,
        )
        self.alert = replace(alert, ends_at=now + _LASTS_SECONDS)

    def send(self, alerting: Alerting) -> Iterator[DrillResult]:
        """Send it to each Alertmanager and each direct channel, one after the other, and yield what came of it."""
        notification = Notification(self.alert, "firing", self.alert.starts_at)
        for destination in destinations(alerting, self._timeout_seconds, self._moved):
            began = self._monotonic()
            outcome = destination.deliver("send", notification)
            yield DrillResult(destination.name, self._monotonic() - began, _problem(outcome))


def _problem(outcome: DeliveryOutcome) -> str:
    match outcome:
        case Delivered():
            return ""
        case Refused(problem):
            return f"refused for good: {problem}"
        case Later(problem, None):
            return problem
        case Later(problem, after_seconds):
            return f"{problem}; to be tried again in {after_seconds:.0f} s"
    return "no answer to a message"
