"""What mutes what, and how a rule says so: what was told goes on until it is over, whatever comes after it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_alerts.catalogue.candles import CANDLE_STALE, UNHEALTHY
from nightdesk_alerts.catalogue.declaration import (
    ANY_CRITICAL,
    AlertDeclaration,
    AlertRule,
    MutedIn,
    muted_in_rule_by,
)
from nightdesk_alerts.catalogue.exchange import EXCHANGE_DISCONNECTED
from nightdesk_alerts.catalogue.liveness import DOWN, LOOP_STALLED
from nightdesk_alerts.catalogue.plumbing import SNAPSHOT_STALE, STATUS_FILE_STALE
from nightdesk_alerts.catalogue.retrain import MODEL_KEPT
from nightdesk_alerts.catalogue.risk import DRAWDOWN_HIGH
from nightdesk_alerts.catalogue.stack import PUSHGATEWAY_DOWN, WATCHDOG
from nightdesk_alerts.catalogue.trading import GUARD_PAUSED, KILL_SWITCH_ACTIVE, NO_TRADES
from nightdesk_alerts.mutes import muted, mutes_of, with_mutes

INHIBITED, HEARD = MutedIn.INHIBITION, None
SNAPSHOT_MUTED = replace(SNAPSHOT_STALE, muted_by=muted_in_rule_by(EXCHANGE_DISCONNECTED, CANDLE_STALE))


def worst(alert: AlertDeclaration) -> AlertRule:
    return alert.rules[0]


@pytest.mark.parametrize(
    ("by", "rule", "where"),
    [
        (worst(EXCHANGE_DISCONNECTED), worst(CANDLE_STALE), INHIBITED),
        (worst(CANDLE_STALE), worst(EXCHANGE_DISCONNECTED), HEARD),
        (AlertRule(CANDLE_STALE, "warning"), worst(SNAPSHOT_STALE), INHIBITED),
        (worst(KILL_SWITCH_ACTIVE), worst(NO_TRADES), INHIBITED),
        (worst(GUARD_PAUSED), worst(NO_TRADES), INHIBITED),
        # The worse of two limits.
        (worst(DRAWDOWN_HIGH), AlertRule(DRAWDOWN_HIGH, "warning"), INHIBITED),
        (AlertRule(DRAWDOWN_HIGH, "warning"), worst(DRAWDOWN_HIGH), HEARD),
        # The health check says what a more precise alert has said.
        (worst(DRAWDOWN_HIGH), worst(UNHEALTHY), INHIBITED),
        (AlertRule(DRAWDOWN_HIGH, "warning"), worst(UNHEALTHY), HEARD),
        # A bot that is gone.
        (worst(DOWN), worst(LOOP_STALLED), INHIBITED),
        (worst(DOWN), worst(KILL_SWITCH_ACTIVE), HEARD),
        (worst(DOWN), worst(MODEL_KEPT), HEARD),
        (worst(LOOP_STALLED), worst(DOWN), HEARD),
        # The stack has no bot.
        (worst(DOWN), worst(PUSHGATEWAY_DOWN), HEARD),
        (worst(PUSHGATEWAY_DOWN), worst(UNHEALTHY), HEARD),
        # Where it is said to be in the rule, it is.
        (worst(CANDLE_STALE), worst(SNAPSHOT_MUTED), MutedIn.RULE),
    ],
    ids=lambda value: value.name if isinstance(value, AlertRule) else str(value),
)
def test_an_alert_is_muted_by_its_causes_where_it_is_said_to_be(
    by: AlertRule, rule: AlertRule, where: MutedIn | None
) -> None:
    assert muted(rule, by=by) is where


def test_nothing_mutes_what_is_never_muted_and_nothing_mutes_itself() -> None:
    for alert in ALERTS:
        causes = [mute.cause for mute in mutes_of(alert)]
        assert alert not in causes
        assert not (alert.never_muted and (causes or alert.muted_by)), alert.name
    assert WATCHDOG.never_muted


def test_an_expression_without_mutes_in_the_rule_stays_as_it_is() -> None:
    for alert in ALERTS:
        if all(mute.where is INHIBITED for mute in mutes_of(alert)):
            assert with_mutes(alert, "up == 0") == "up == 0"
    assert all(mute.where is INHIBITED for alert in ALERTS for mute in mutes_of(alert))


def test_a_mute_in_the_rule_is_said_in_promql() -> None:
    assert with_mutes(SNAPSHOT_MUTED, "a > 1\nor\nb > 1") == (
        """\
(
    a > 1
    or
    b > 1
)
unless on (bot)
  (
        ALERTS{alertname=~"TradebotExchangeDisconnected|TradebotCandleStale",alertstate="firing",bot!=""}
      unless on (bot)
        ALERTS{alertname="TradebotSnapshotStale",alertstate="firing",bot!=""}
  )"""
    )


def test_any_critical_alert_and_a_bot_that_is_gone_can_mute_in_the_rule_too() -> None:
    gone = replace(DOWN, mutes_its_bot=MutedIn.RULE)
    alert = replace(UNHEALTHY, muted_by=muted_in_rule_by(ANY_CRITICAL, CANDLE_STALE))
    assert with_mutes(alert, "a", among=[gone]) == (
        """\
(
    a
)
unless on (bot)
  (
        (
              ALERTS{alertname=~"TradebotCandleStale|TradebotDown",alertstate="firing",bot!=""}
            or
              ALERTS{alertname!="TradebotUnhealthy",severity="critical",alertstate="firing",bot!=""}
        )
      unless on (bot)
        ALERTS{alertname="TradebotUnhealthy",alertstate="firing",bot!=""}
  )"""
    )


def rule(alert: AlertDeclaration, expression: str) -> dict[str, Any]:
    found = alert.rules[0]
    return {"alert": found.name, "expr": expression, "labels": {"severity": found.severity}}


def firing(*alerts: AlertDeclaration) -> list[dict[str, Any]]:
    labels = [
        f'ALERTS{{alertname="{alert.name}",alertstate="firing",bot="btc",severity="{alert.rules[0].severity}"}}'
        for alert in alerts
    ]
    return [{"labels": text, "value": 1} for text in labels]


CAUSE, EFFECT = EXCHANGE_DISCONNECTED, replace(STATUS_FILE_STALE, muted_by=muted_in_rule_by(EXCHANGE_DISCONNECTED))
STORIES: dict[str, tuple[str, str, dict[int, tuple[AlertDeclaration, ...]]]] = {
    # By the minute: whether the cause holds, whether the effect does; and what fires at some of them.
    "what has not been told is muted, and told once its cause is over": (
        "0 0 1 1 1 1 0 0 0 0",
        "0 0 0 1 1 1 1 1 0 0",
        {2: (CAUSE,), 3: (CAUSE,), 5: (CAUSE,), 6: (EFFECT,), 7: (EFFECT,), 8: ()},
    ),
    "what has been told goes on until it is over, through its cause": (
        "0 0 0 1 1 1 1 0 0 0",
        "0 1 1 1 1 0 0 0 0 0",
        {1: (EFFECT,), 3: (CAUSE, EFFECT), 4: (CAUSE, EFFECT), 5: (CAUSE,), 7: ()},
    ),
    "what is over and comes again under its cause is muted again": (
        "0 0 1 1 1 1 1 1 0 0",
        "0 1 1 0 0 1 1 1 1 0",
        {2: (CAUSE, EFFECT), 3: (CAUSE,), 5: (CAUSE,), 7: (CAUSE,), 8: (EFFECT,), 9: ()},
    ),
    "what comes together with its cause is muted": (
        "0 0 1 1 1 0 0 0 0 0",
        "0 0 1 1 1 1 0 0 0 0",
        {2: (CAUSE,), 4: (CAUSE,), 5: (EFFECT,), 6: ()},
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_mute_in_the_rule_silences_only_what_has_not_been_told(name: str, tools: Tools, tmp_path: Path) -> None:
    cause, effect, fires = STORIES[name]
    rules = [
        rule(CAUSE, "max by (bot) (cause) == 1"),
        rule(EFFECT, with_mutes(EFFECT, "max by (bot) (effect) == 1")),
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "mutes", "rules": rules}]}))
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": 'cause{bot="btc"}', "values": cause},
                    {"series": 'effect{bot="btc"}', "values": effect},
                    # Another bot's cause mutes nothing, and another bot's effect is heard: neither is about this one.
                    {"series": 'cause{bot="eth"}', "values": "1x9"},
                    {"series": 'effect{bot="sol"}', "values": "1x9"},
                ],
                "promql_expr_test": [
                    {"expr": 'ALERTS{bot="btc"}', "eval_time": f"{minute}m", "exp_samples": firing(*alerts)}
                    for minute, alerts in fires.items()
                ],
            }
        ],
    }
    (tmp_path / "mutes_test.yml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [tools.promtool, "test", "rules", "mutes_test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
