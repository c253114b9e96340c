"""What people hear of a verdict: a log line with every metric, and, known failure 15, an alert."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from nightdesk_alerts import AlertSender
from nightdesk_retrain.job import run
from nightdesk_retrain.parts import JobParts

from tests.alerts.conftest import ServedInbox, only, serving_inbox
from tests.retrain.conftest import DAY, FakePipeline


@pytest.fixture
def records() -> Iterator[list[Any]]:
    caught: list[Any] = []
    sink = logger.add(lambda message: caught.append(message.record), level="INFO")
    yield caught
    logger.remove(sink)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[ServedInbox]:
    with serving_inbox(tmp_path / "inbox") as served:
        yield served


def test_known_failure_15_a_verdict_reaches_people_without_an_alertmanager(
    parts: JobParts, inbox: ServedInbox, records: list[Any]
) -> None:
    with AlertSender("btc", alerting=only(inbox, "discord")) as alerts:
        outcome = run(replace(parts, alerts=alerts), trigger="manual", bootstrap=True)
        (message,) = inbox.arrived("discord")
    assert message.alertname == "TradebotModelPromoted"
    assert outcome.version in message.text
    (record,) = [record for record in records if "verdict" in record["extra"]]
    assert record["extra"]["verdict"]["candidate"] == outcome.to_json()["candidate"]
    assert "Sharpe" in record["message"]
    assert "profit factor" in record["message"]


def test_a_candidate_that_is_kept_back_is_told_of_too(
    parts: JobParts, pipeline: FakePipeline, inbox: ServedInbox
) -> None:
    run(parts, trigger="manual", bootstrap=True)
    pipeline.market_end += 200 * DAY
    pipeline.daily_edge = 0.0019
    with AlertSender("btc", alerting=only(inbox, "discord")) as alerts:
        assert run(replace(parts, alerts=alerts), trigger="schedule").decision == "kept"
        (message,) = inbox.arrived("discord")
    assert message.alertname == "TradebotModelKept"


def test_too_little_evidence_is_logged_and_no_alert_as_it_has_no_rule(
    parts: JobParts, pipeline: FakePipeline, inbox: ServedInbox, records: list[Any]
) -> None:
    run(parts, trigger="manual", bootstrap=True)
    pipeline.market_end -= 100 * DAY
    pipeline.daily_edge = 0.02
    with AlertSender("btc", alerting=only(inbox, "discord")) as alerts:
        assert run(replace(parts, alerts=alerts), trigger="schedule").decision == "insufficient_evidence"
    assert inbox.find() == []
    assert [record["level"].name for record in records if "verdict" in record["extra"]] == ["INFO", "WARNING"]


def test_a_dry_run_tells_nobody(parts: JobParts, inbox: ServedInbox) -> None:
    with AlertSender("btc", alerting=only(inbox, "discord")) as alerts:
        run(replace(parts, alerts=alerts), trigger="manual", dry_run=True)
    assert inbox.find() == []


def test_who_wants_to_hear_of_no_rotation_does_not(parts: JobParts, inbox: ServedInbox) -> None:
    with AlertSender("btc", alerting=only(inbox, "discord", on_model_rotation=False)) as alerts:
        run(replace(parts, alerts=alerts), trigger="manual", bootstrap=True)
    assert inbox.find() == []
