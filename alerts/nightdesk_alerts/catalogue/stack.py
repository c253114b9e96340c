"""The stack watches itself. None of these is about a bot: nothing mutes them, and they mute nothing."""

from __future__ import annotations

from nightdesk_alerts.catalogue.declaration import AlertDeclaration, Subject

WATCHDOG = AlertDeclaration(
    name="Watchdog",
    summaries={"none": "The alerting path works from end to end."},
    when="Always. What receives it outside this machine raises the alarm when it stops.",
    labels=(),
    never_muted=True,
)

ALERTMANAGER_DOWN = AlertDeclaration(
    name="AlertmanagerDown",
    summaries={"critical": "An Alertmanager does not answer."},
    when="Prometheus has had no answer from an Alertmanager for 2m, or has none to ask.",
    labels=(),
)

ALERTMANAGER_NOTIFICATIONS_FAILING = AlertDeclaration(
    name="AlertmanagerNotificationsFailing",
    summaries={"critical": "Alertmanager cannot deliver to one of its channels."},
    when="For 1m more than 1% of a channel's messages of the last 15m have failed.",
    labels=(),
)

PUSHGATEWAY_DOWN = AlertDeclaration(
    name="PushgatewayDown",
    summaries={"warning": "The Pushgateway does not answer."},
    when="Prometheus has had no answer from the Pushgateway for 2m, or has none to ask.",
    labels=(),
)

PAGE_SERVER_DOWN = AlertDeclaration(
    name="PageServerDown",
    summaries={"warning": "The page server does not answer."},
    when="Prometheus has had no answer from the page server for 2m, or has none to ask: nobody sees the servers' pages,"
    " and nothing looks whether alerts are silenced.",
    labels=(),
)

PROMETHEUS_RULE_FAILURES = AlertDeclaration(
    name="PrometheusRuleFailures",
    summaries={"critical": "Prometheus fails to evaluate a rule."},
    when="An evaluation failed within the last 10m.",
    labels=(),
)

PROMETHEUS_NOT_CONNECTED = AlertDeclaration(
    name="PrometheusNotConnectedToAlertmanager",
    summaries={"critical": "Prometheus knows no Alertmanager."},
    when="For 2m Prometheus has had no Alertmanager to send alerts to, or no metrics of its own.",
    labels=(),
)

STACK = Subject(
    "The stack itself",
    "stack",
    (
        WATCHDOG,
        ALERTMANAGER_DOWN,
        ALERTMANAGER_NOTIFICATIONS_FAILING,
        PUSHGATEWAY_DOWN,
        PAGE_SERVER_DOWN,
        PROMETHEUS_RULE_FAILURES,
        PROMETHEUS_NOT_CONNECTED,
    ),
)
