"""What is done about a ruling: whether the candidate replaces the champion, and that it does, through any crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loguru import logger
from nightdesk_core.audit import AuditHead
from nightdesk_core.files import stored
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.champion import Champion, Standing
from nightdesk_exporter import is_stale

from nightdesk_retrain.judgement.gate import GateVerdict
from nightdesk_retrain.outcome import RetrainOutcome
from nightdesk_retrain.parts import JobParts

ACTOR = "retrain"


def settle(outcome: RetrainOutcome, parts: JobParts, champion: Champion | None, *, bootstrap: bool) -> RetrainOutcome:
    """Return the outcome with what will be done about its ruling."""
    ruling = outcome.ruling
    if bootstrap:
        reason = f"first champion, provisional whatever the gate says ({ruling.verdict}: {ruling.reason})"
        return replace(outcome, decision="promoted", standing="provisional", reason=reason)
    if ruling.verdict is GateVerdict.INSUFFICIENT_EVIDENCE:
        return replace(outcome, decision="insufficient_evidence")
    if ruling.verdict is GateVerdict.KEPT:
        return outcome
    if not parts.rotation.enabled:
        return replace(outcome, reason="the gate would promote, but model_rotation.enabled is false")
    if champion is not None and outcome.comparison is None:
        reason = f"{ruling.reason}, but the champion cannot be loaded to compare with: provisional"
        return replace(outcome, decision="promoted", standing="provisional", reason=reason)
    if reason := _held_back(outcome, parts, champion):
        return replace(outcome, reason=f"{ruling.reason}, but {reason}: the candidate is recorded")
    return replace(outcome, decision="promoted", standing="probation")


def _held_back(outcome: RetrainOutcome, parts: JobParts, champion: Champion | None) -> str:
    """Return why nobody may be promoted just now, whatever the gate says; empty where somebody may.

    What the guard asked for is the way out of both: a model that broke its promise, and a bot that it paused.
    """
    if outcome.trigger in ("guard", "expectation"):
        return ""
    if champion is not None and champion.standing == "probation":
        return f"{champion.version} is on probation"
    if _guard_status(parts) == "paused":
        return "the guard has paused the bot, and did not ask for this retrain"
    return ""


def _guard_status(parts: JobParts) -> str | None:
    """Return how the bot's guard stands by the status file; `None` where that is not known."""
    trading = parts.status_file.read().get("trading")
    if not isinstance(trading, dict) or is_stale(trading, now=parts.clock()):
        return None
    return trading.get("guard")


def rotate(parts: JobParts, version: str, standing: Standing, *, instead_of: str | None) -> AuditHead:
    """Move the pointer to `version`, record it, and return the audit log's head. Raises as `promote` does."""
    pointer = parts.registry.promote(version, standing=standing, instead_of=instead_of)
    return parts.audit.append("rotated", stored.plain(pointer), actor=ACTOR)


def finish_rotation(parts: JobParts) -> None:
    """Do what the last verdict promised, where the run was killed before it was done and recorded.

    Nothing is done where somebody has moved the pointer meanwhile, were it back to where it was; where rotation was
    switched off; or where the bundle is no longer intact.
    """
    promised = _promised(parts)
    if promised is None or not parts.rotation.enabled:
        return
    version, champion = promised["version"], parts.registry.champion()
    current = None if champion is None else champion.version
    if champion is not None and champion.rollback is not None and champion.rollback.version == version:
        return
    try:
        if current == version:
            parts.audit.append("rotated", stored.plain(champion), actor=ACTOR)
        elif current == promised["instead_of"]:
            rotate(parts, version, promised["standing"], instead_of=current)
        else:
            return
    except BundleError as error:
        logger.error("a promotion that was cut off is not finished: {}", error)
        return
    logger.warning("{} is champion: the last retrain was cut off after its verdict", version)


def _promised(parts: JobParts) -> Mapping[str, Any] | None:
    """Return the last verdict, as the audit log has it, where it promoted and no move of the pointer came after it."""
    promised = None
    for entry in parts.audit.entries():
        if entry.event == "verdict":
            details = entry.details
            # Older verdicts do not say whom they replace; they are long settled.
            promised = details if details["decision"] == "promoted" and "instead_of" in details else None
        elif entry.event in ("rotated", "rolled_back"):
            promised = None
    return promised
