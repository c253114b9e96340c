"""The declarations themselves: whole sentences, names of their own, and nothing heavy to load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from nightdesk_alerts import Alerting
from nightdesk_alerts.alert import new_alert
from nightdesk_alerts.catalogue import ALERTS, HEALTH_CHECK, SUBJECTS, declared
from nightdesk_alerts.catalogue.declaration import AlertDeclaration, Preference, SilentCondition
from nightdesk_alerts.preferences import silenced, silenced_by

CHECKOUT = Path(__file__).resolve().parents[2]
RANKS = ["critical", "warning", "info", "none"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_declaration_says_in_whole_sentences_what_is_the_matter_and_when(alert: AlertDeclaration) -> None:
    assert [*alert.summaries] == sorted(alert.summaries, key=RANKS.index)
    for text in (*alert.summaries.values(), alert.when):
        assert text[0].isupper()
        assert text.endswith(".")
    assert alert.labels[:1] == ("bot",) or alert.labels == ()
    if alert.condition is not None:
        assert set(alert.condition.unhealthy) <= set(alert.summaries)
        assert alert.of_a_bot


def test_no_two_alerts_have_one_name_and_no_two_conditions_one_issue() -> None:
    names = [alert.name for alert in ALERTS]
    issues = [condition.issue for condition, _ in HEALTH_CHECK]
    assert len(set(names)) == len(names)
    assert len(set(issues)) == len(issues)


def test_what_wakes_nobody_has_its_reason() -> None:
    silent = [each for subject in SUBJECTS for each in subject.declared if isinstance(each, SilentCondition)]
    assert [each.issue for each in silent] == ["websocket_disconnected", "instrumentation_errors", "heartbeat_unsent"]
    assert all(each.reason for each in silent)


def test_every_preference_of_the_settings_silences_something() -> None:
    everything = Alerting(on_pause=False, on_kill_switch=False, on_model_rotation=False)
    assert set(silenced(everything)) == {name for preference in Preference for name in silenced_by(preference)}
    assert all(silenced_by(preference) for preference in Preference)


def test_the_documents_say_of_every_preference_what_it_silences() -> None:
    text = (CHECKOUT / "docs/alerts.md").read_text(encoding="utf-8")
    for preference in Preference:
        assert f"| `{preference.value}: false` | {', '.join(silenced_by(preference))} |" in text


@pytest.mark.parametrize(
    ("name", "hours", "runbook"),
    [
        ("TradebotKillSwitchActive", 24, "prometheus/runbooks/TradebotKillSwitchActive.md"),
        ("TradebotGuardPaused", 1, "prometheus/runbooks/TradebotGuardPaused.md"),
        # One of the bot's own, whatever it is called, and one that is about no bot: no rule reports its end.
        ("TradebotOfMyOwn", 1, None),
        ("PushgatewayDown", 1, None),
    ],
)
def test_an_alert_that_is_sent_has_the_lifetime_and_the_runbook_of_its_declaration(
    name: str, hours: float, runbook: str | None
) -> None:
    labels = {"alertname": name, "severity": "critical", "bot": "btc"}
    sent = new_alert(labels, summary="s.", description="", lasting=True, starts_at=0.0)
    assert sent.lifetime_seconds == sent.ends_at == hours * 3600
    assert sent.annotations.get("runbook_url") == runbook
    assert sent.ours is (runbook is not None)


def test_an_alert_of_the_bot_s_own_is_not_declared() -> None:
    assert declared("FundsLow") is None


@pytest.mark.parametrize("module", ["nightdesk_alerts.catalogue", "nightdesk_exporter"])
def test_importing_it_loads_nothing_that_only_settings_and_messages_need(module: str) -> None:
    heavy = {"pydantic", "requests", "yaml", "smtplib", "numpy"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
