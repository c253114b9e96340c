"""What the guard owes others: entries of the audit log, and requests for a retrain.

A notice is stored together with what it is about, and told afterwards, at least once: a crash forgets neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from loguru import logger
from nightdesk_core.age import age_seconds
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallClock, WallTime, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.disk import is_unwritable, reason_of
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_core.models.requests import RetrainRequests

from nightdesk_guard.evidence import Evidence
from nightdesk_guard.kill_switch import KillSwitchState
from nightdesk_guard.performance import retrain_reason
from nightdesk_guard.policy import GuardStep

AUDIT = "audit"
"""Content: `event` and `details` of an audit entry."""
REQUEST = "retrain request"
"""Content: `cause`, `reason` and `at`."""
ACTOR = "bot"
_NEVER = WallTime(-math.inf)
_BY_ITSELF = ("guard", "file", "bot")
"""Who activates the switch without the command line, which records what it does."""


class Notice(NamedTuple):
    """One thing to tell, of a `kind` that says whom."""

    kind: str
    content: Mapping[str, Any]


Handler = Callable[[Mapping[str, Any]], None]
"""Tells the content of one kind of notice. Raises `NightdeskError` or `OSError` where that fails: it is still owed."""


class Teller:
    """Tells notices, each by the handler of its kind. What fails is said once, and may be tried again after a while."""

    def __init__(
        self,
        audit: AuditLog,
        requests: RetrainRequests,
        *,
        more: Mapping[str, Handler] | None = None,
        retry_seconds: float = 60.0,
        clock: WallClock = system_clock,
    ) -> None:
        """`more` are handlers of further kinds; until `retry_seconds` after a failure every call fails."""
        self._audit = audit
        self._requests = requests
        self._handlers: Mapping[str, Handler] = {AUDIT: self._record, REQUEST: self._request, **(more or {})}
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._failed_at = _NEVER
        self._failure = ""
        self.unwritable: str | None = None
        """Why what was to be told last could not be written; `None` where it could, or failed for another reason."""

    def tell(self, notice: Notice) -> bool:
        """Return whether a notice was told."""
        if age_seconds(self._failed_at, now=self._clock()) < self._retry_seconds:
            return False
        try:
            self._handlers[notice.kind](notice.content)
        except (NightdeskError, OSError) as error:
            self._failed_at = self._clock()
            self.unwritable = reason_of(error) if is_unwritable(error) else None
            if str(error) != self._failure:
                logger.error("{} was not recorded and will be tried again: {}", notice.kind, error)
            self._failure = str(error)
            return False
        self._failed_at, self._failure, self.unwritable = _NEVER, "", None
        return True

    def _record(self, content: Mapping[str, Any]) -> None:
        self._audit.append(content["event"], content["details"], actor=ACTOR)

    def _request(self, content: Mapping[str, Any]) -> None:
        request = self._requests.add(content["cause"], content["reason"], ACTOR, at=content["at"])
        if request is not None:
            logger.info("a retrain is asked for ({}): {}", request.cause, content["reason"])


def of_transition(moved: GuardTransition) -> list[Notice]:
    """Return what a move of the guard owes: an audit entry, and a retrain where it got worse."""
    notices = [Notice(AUDIT, {"event": "guard_transition", "details": stored.plain(moved)})]
    if reason := retrain_reason(moved):
        notices.append(Notice(REQUEST, {"cause": "guard", "reason": reason, "at": float(moved.time.seconds)}))
    return notices


def of_breach(found: Evidence, time: MarketTime) -> list[Notice]:
    """Return what is owed where a model was shown, at a close, to be worse than promised."""
    reason = (
        f"{found.model_version} wins less than its hold-out promised: {found.wins} of {found.signals} signals,"
        f" e-value {found.e_value:.1f}"
    )
    return [
        Notice(AUDIT, {"event": "expectation_breached", "details": {"time": time.seconds, **asdict(found)}}),
        Notice(REQUEST, {"cause": "expectation", "reason": reason, "at": float(time.seconds)}),
    ]


def of_step(step: GuardStep) -> list[Notice]:
    """Return what a step of the policy owes."""
    found = [] if step.moved is None else of_transition(step.moved)
    return found if step.breach is None else [*found, *of_breach(step.breach, step.time)]


def of_activation(switch: KillSwitchState, before: KillSwitchState) -> list[Notice]:
    """Return what a kill switch owes that was activated since `before`, and by nobody who has recorded it."""
    # A latch that is damaged says neither how often nor when.
    known = before.active and (switch.activations, switch.changed_at) == (before.activations, before.changed_at)
    if known or not switch.active or switch.actor not in _BY_ITSELF:
        return []
    return [Notice(AUDIT, {"event": "kill_switch_activated", "details": stored.plain(switch)})]
