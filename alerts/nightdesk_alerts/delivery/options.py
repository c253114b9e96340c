"""How a sender works: what `AlertSender` was given, as its thread takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.clock import WallClock

from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.delivery.ledger import Now

Count = Callable[..., None]
"""Called with a metric's name and, where it has one, the value of its label: ("alerts_dropped", "refused")."""


def count_nothing(_name: str, *_labels: str) -> None:
    """Count nothing: for whoever has no metrics."""


Unwritable = Callable[[str, str], None]
"""Called with what cannot be written and why, or with no reason once it can again."""


def tell_nobody(_what: str, _reason: str) -> None:
    """Tell nobody that something cannot be written: for whoever only logs it."""


@dataclass(frozen=True, kw_only=True)
class SenderOptions:
    """The arguments of `AlertSender`, which says what they are."""

    alerting: Alerting
    spool: Path | None
    count: Count
    unwritable: Unwritable
    fallback_seconds: float
    settle_seconds: float
    timeout_seconds: float
    close_seconds: float
    capacity: int
    clock: WallClock
    monotonic: Callable[[], float]

    def now(self) -> Now:
        """Both clocks."""
        return Now(self.monotonic(), self.clock().seconds)
