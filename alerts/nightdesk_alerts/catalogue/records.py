"""What must not be forgotten: the state that the bot goes on from, and the audit log."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue.declaration import AlertCondition, AlertDeclaration, Subject, Symptom
from nightdesk_alerts.catalogue.view import Situation


def _state_lost(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.state_lost:
        yield Symptom("critical", f"the bot has lived and its state is gone: {seen.bot.state_lost}")


STATE_LOST = AlertDeclaration(
    name="TradebotStateLost",
    summaries={"critical": "The bot has lived and its state is gone."},
    when="Something that remains says that the bot has traded, and its state is missing or from an earlier time. The"
    " kill switch keeps it out of the market until a person begins anew.",
    condition=AlertCondition(
        issue="state_lost", find=_state_lost, is_known=lambda seen: seen.bot.state_lost is not None
    ),
)


def _audit_missing(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.audit_missing:
        yield Symptom("critical", f"the audit log is not what it was: {seen.bot.audit_missing}")


AUDIT_MISSING = AlertDeclaration(
    name="TradebotAuditMissing",
    summaries={"critical": "The audit log is gone, or shorter than it was."},
    when="The audit log does not hold an entry that was noted elsewhere: it was removed, cut, emptied or replaced, or"
    " cannot be read. Nothing is recorded until a person begins a new one.",
    condition=AlertCondition(
        issue="audit_missing", find=_audit_missing, is_known=lambda seen: seen.bot.audit_missing is not None
    ),
)

RECORDS = Subject("What must not be forgotten", "trading", (STATE_LOST, AUDIT_MISSING))
