"""What people hear of a verdict at once: a log line with every metric, and the alert that its rule reports, too."""

from __future__ import annotations

from loguru import logger
from nightdesk_alerts import AlertSender
from nightdesk_alerts.catalogue import MODEL_KEPT, MODEL_PROMOTED

from nightdesk_retrain.judgement.metrics import Performance
from nightdesk_retrain.outcome import RetrainOutcome

_EVENTS = {"promoted": MODEL_PROMOTED, "kept": MODEL_KEPT}
"""By the decision. The others have no rule: too little evidence is no verdict on the candidate, a dry run is none."""


def announce(outcome: RetrainOutcome, alerts: AlertSender) -> None:
    """Log the outcome with its full metrics, and send the alert of one that was promoted or kept back: once.

    Alertmanager has the rule's alert, which is the same, a little later; where none answers, this one reaches people.
    """
    level = "INFO" if outcome.decision in ("promoted", "dry_run") else "WARNING"
    logger.bind(verdict=outcome.to_json()).log(level, "{}: {}: {}{}", *_told(outcome))
    if outcome.decision not in _EVENTS:
        return
    (rule,) = _EVENTS[outcome.decision].rules
    description = f"Model {outcome.version}: {outcome.reason}."
    alerts.send_alert(rule.name, severity=rule.severity, summary=rule.summary, description=description, lasting=False)


def _told(outcome: RetrainOutcome) -> tuple[str, str, str, str]:
    against = "" if outcome.champion is None else f"; champion: {_measures(outcome.champion)}"
    return outcome.decision, outcome.version, outcome.reason, f" (candidate: {_measures(outcome.candidate)}{against})"


def _measures(found: Performance) -> str:
    factor = "unknown" if found.profit_factor is None else f"{found.profit_factor:.2f}"
    return (
        f"Sharpe {found.sharpe_ratio:.2f}, profit factor {factor}, drawdown {found.max_drawdown_ratio:.1%},"
        f" {found.trades} trades"
    )
