"""What the guard owes others: entries of the audit log, and requests for a retrain.

A notice is stored together with what it is about, and told afterwards, at least once: a crash forgets neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.journal import GuardTransition
from nightdesk_core.requests import RetrainRequests

from nightdesk_guard.evidence import Evidence
from nightdesk_guard.kill_switch import KillSwitchState
from nightdesk_guard.performance import retrain_reason

AUDIT = "audit"
"""Content: `event` and `details` of an audit entry."""
REQUEST = "retrain request"
"""Content: `cause`, `reason` and `at`."""
_AGAIN_SECONDS = 60.0
_ACTOR = "bot"
_BY_ITSELF = ("guard", "file", "bot")
"""Who activates the switch without the command line, which records what it does."""


class Notice(NamedTuple):
    """One thing to tell, of a `kind` that says whom."""

    kind: str
    content: Mapping[str, Any]


class Teller:
    """Tells what is owed as soon as it can, and holds nobody up by trying again and again."""

    def __init__(self, audit: AuditLog, requests: RetrainRequests, *, clock: WallClock = system_clock) -> None:
        self._audit = audit
        self._requests = requests
        self._clock = clock
        self._failed_at = -math.inf

    def tell(self, owed: Sequence[Notice]) -> tuple[Notice, ...]:
        """Tell in order, and return what is still owed: what fails is tried again a minute later."""
        left = list(owed)
        while left and abs(self._clock() - self._failed_at) >= _AGAIN_SECONDS:
            try:
                tell(*left[0], audit=self._audit, requests=self._requests)
            except (NightdeskError, OSError) as error:
                self._failed_at = self._clock()
                logger.error("{} was not recorded and will be tried again: {}", left[0].kind, error)
            else:
                left.pop(0)
        return tuple(left)


def of_transition(moved: GuardTransition) -> list[Notice]:
    """Return what a move of the guard owes: an audit entry, and a retrain where it got worse."""
    notices = [Notice(AUDIT, {"event": "guard_transition", "details": asdict(moved)})]
    if reason := retrain_reason(moved):
        notices.append(Notice(REQUEST, {"cause": "guard", "reason": reason, "at": float(moved.time)}))
    return notices


def of_breach(found: Evidence, time: int) -> list[Notice]:
    """Return what is owed where a model was shown, at a market time, to be worse than promised."""
    reason = (
        f"{found.model_version} wins less than its hold-out promised: {found.wins} of {found.signals} signals,"
        f" e-value {found.e_value:.1f}"
    )
    return [
        Notice(AUDIT, {"event": "expectation_breached", "details": {"time": time, **found.to_json()}}),
        Notice(REQUEST, {"cause": "expectation", "reason": reason, "at": float(time)}),
    ]


def of_activation(switch: KillSwitchState, before: KillSwitchState) -> list[Notice]:
    """Return what a kill switch owes that was activated since `before`, and by nobody who has recorded it."""
    # A latch that is damaged says neither how often nor when.
    known = before.active and (switch.activations, switch.changed_at) == (before.activations, before.changed_at)
    if known or not switch.active or switch.actor not in _BY_ITSELF:
        return []
    return [Notice(AUDIT, {"event": "kill_switch_activated", "details": asdict(switch)})]


def tell(kind: str, content: Mapping[str, Any], *, audit: AuditLog, requests: RetrainRequests) -> None:
    """Tell one notice. Raises `NightdeskError` or `OSError` where that fails: then it is still owed."""
    if kind == AUDIT:
        audit.append(content["event"], content["details"], actor=_ACTOR)
        return
    request = requests.add(content["cause"], content["reason"], _ACTOR, at=content["at"])
    if request is not None:
        logger.info("a retrain is asked for ({}): {}", request.cause, content["reason"])
