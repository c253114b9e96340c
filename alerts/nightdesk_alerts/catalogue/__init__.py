"""The catalogue of alerts: one declaration for each, by subject.

To add an alert, write its declaration into the module of its subject, with its condition where the bot itself can
tell, and name it in the module's `Subject`. Then `tests/prometheus/test_catalogue.py` names each file that still lacks
it: rule, rule test, runbook, the generated reference (`make docs`), and the case of its unit test.

Whoever checks a bot's health, sends, mutes, routes or documents alerts asks here. Importing it loads only itself, and
all of it: it is a table.

The table: `ALERTS`, by `SUBJECTS`; `declared` and `known` look things up. `HEALTH_CHECK` is what the health check looks
for, in the `Situation` that it sees. The words of a declaration: `AlertDeclaration`, `AlertRule`, `Due`, `Severity`,
`Route`.
Declarations that others name: `ALERTMANAGER_NOTIFICATIONS_FAILING`, `ALERTS_SILENCED`, `DISK_UNWRITABLE`, `DOWN`,
`KILL_SWITCH_ACTIVE`, `LOOP_STALLED`, `MODEL_KEPT`, `MODEL_PROMOTED`, `MODEL_ROLLED_BACK`. `ACCOUNT_ISSUES` are of the
account alone. Limits that the bot exports or acts by: `daily_loss_severity`, `drawdown_severity`,
`exchange_contact_limit_seconds`, `heartbeat_limit_seconds`, `no_trade_limit_seconds`, `snapshot_limit_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_alerts.catalogue.candles import CANDLES
from nightdesk_alerts.catalogue.declaration import (
    AlertCondition,
    AlertDeclaration,
    AlertRule,
    Due,
    Route,
    Severity,
    SilentCondition,
    Subject,
)
from nightdesk_alerts.catalogue.exchange import EXCHANGE, exchange_contact_limit_seconds
from nightdesk_alerts.catalogue.liveness import DOWN, LIVENESS, LOOP_STALLED, heartbeat_limit_seconds
from nightdesk_alerts.catalogue.model import MODEL
from nightdesk_alerts.catalogue.plumbing import ALERTS_SILENCED, DISK_UNWRITABLE, PLUMBING, snapshot_limit_seconds
from nightdesk_alerts.catalogue.records import RECORDS
from nightdesk_alerts.catalogue.retrain import MODEL_KEPT, MODEL_PROMOTED, MODEL_ROLLED_BACK, RETRAIN
from nightdesk_alerts.catalogue.risk import RISK, daily_loss_severity, drawdown_severity
from nightdesk_alerts.catalogue.stack import ALERTMANAGER_NOTIFICATIONS_FAILING, STACK
from nightdesk_alerts.catalogue.trading import KILL_SWITCH_ACTIVE, TRADING, no_trade_limit_seconds
from nightdesk_alerts.catalogue.view import Situation

__all__ = [
    "ACCOUNT_ISSUES",
    "ALERTMANAGER_NOTIFICATIONS_FAILING",
    "ALERTS",
    "ALERTS_SILENCED",
    "DISK_UNWRITABLE",
    "DOWN",
    "HEALTH_CHECK",
    "KILL_SWITCH_ACTIVE",
    "LOOP_STALLED",
    "MODEL_KEPT",
    "MODEL_PROMOTED",
    "MODEL_ROLLED_BACK",
    "SUBJECTS",
    "AlertDeclaration",
    "AlertRule",
    "Due",
    "Route",
    "Severity",
    "Situation",
    "daily_loss_severity",
    "declared",
    "drawdown_severity",
    "exchange_contact_limit_seconds",
    "heartbeat_limit_seconds",
    "known",
    "no_trade_limit_seconds",
    "snapshot_limit_seconds",
]

SUBJECTS: tuple[Subject, ...] = (LIVENESS, EXCHANGE, CANDLES, TRADING, MODEL, RISK, RECORDS, PLUMBING, RETRAIN, STACK)

_DECLARED = tuple(each for subject in SUBJECTS for each in subject.declared)
ALERTS: tuple[AlertDeclaration, ...] = tuple(each for each in _DECLARED if isinstance(each, AlertDeclaration))


def _looked_for() -> Iterator[tuple[AlertCondition | SilentCondition, AlertDeclaration | None]]:
    for each in _DECLARED:
        if isinstance(each, SilentCondition):
            yield each, None
        elif each.condition is not None:
            yield each.condition, each


HEALTH_CHECK = tuple(_looked_for())
"""What the bot's health check looks for, each with the alert about it, in the order of its issues."""

ACCOUNT_ISSUES = frozenset(condition.issue for condition, _ in HEALTH_CHECK if condition.of_the_account)
"""Issues of the health check that are about the account: a bot that has no other does its work."""

_BY_NAME = {alert.name: alert for alert in ALERTS}


def declared(name: str) -> AlertDeclaration | None:
    """Return the alert of this name; `None` for a bot's own."""
    return _BY_NAME.get(name)


def known(seen: Situation) -> Iterator[AlertDeclaration]:
    """Yield the alerts of whose condition the bot has said enough to know whether it holds."""
    for alert in ALERTS:
        if alert.condition is not None and alert.condition.is_known(seen):
            yield alert
