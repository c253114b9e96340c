"""A ledger on a clock that a test moves, and how its jobs end."""

from __future__ import annotations

from collections import Counter

import pytest
from nightdesk_alerts.alert import SentAlert, condition_of, new_alert
from nightdesk_alerts.delivery.ledger import Job, Ledger, Now
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome

WALL = 1_800_000_000.0
DIRECT, AM = "discord", "alertmanager"


class Desk:
    """A ledger, its clock, and how its jobs end."""

    def __init__(self, *, alertmanagers: tuple[str, ...] = (), capacity: int = 256) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.tick = 0.0
        self.destinations = (*alertmanagers, DIRECT)
        self.told: list[tuple[float, str, str, str]] = []
        self.severities: list[str] = []
        self.descriptions: list[str] = []
        """Of what the direct channel was told that fires."""
        self.answers: dict[str, DeliveryOutcome] = {}
        self.ledger = Ledger(
            alertmanagers=alertmanagers,
            direct=(DIRECT,),
            fallback_seconds=10,
            capacity=capacity,
            count=lambda *key: self.counts.update([key]),
        )

    @property
    def now(self) -> Now:
        return Now(self.tick, WALL + self.tick)

    def alert(self, name: str, severity: str = "critical", *, lasting: bool = True) -> SentAlert:
        labels = {"alertname": name, "severity": severity, "bot": "btc"}
        return new_alert(labels, summary="s.", description="", lasting=lasting, starts_at=self.now.wall)

    def send(self, name: str, severity: str = "critical", *, lasting: bool = True) -> None:
        self.ledger.take(self.alert(name, severity, lasting=lasting), self.now)

    def withdraw(self, name: str) -> None:
        self.ledger.withdraw(condition_of({"alertname": name, "bot": "btc"}), self.now)

    def begin(self, destination: str) -> Job | None:
        return self.ledger.next_job(destination, self.now)

    def work(self) -> None:
        """Do everything that is due now."""
        self.ledger.tidy(self.now)
        for destination in self.destinations:
            for _ in range(300):
                job = self.begin(destination)
                if job is None:
                    break
                outcome = self.answers.get(job.action, self.answers.get(destination, Delivered()))
                if isinstance(outcome, Delivered):
                    self.told.append((self.tick, destination, job.notification.alert.name, job.notification.status))
                    if (destination, job.notification.status) == (DIRECT, "firing"):
                        self.severities.append(job.notification.alert.labels["severity"])
                        self.descriptions.append(job.notification.alert.description)
                self.ledger.done(job, outcome, self.now)
                if not isinstance(outcome, Delivered):
                    break
            else:
                pytest.fail(f"{destination} never comes to rest")

    def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        end = self.tick + seconds
        while self.tick < end:
            self.tick = min(self.tick + step, end)
            self.work()

    def heard(self, destination: str = DIRECT) -> list[str]:
        return [f"{name} {status}" for _, to, name, status in self.told if to == destination]
