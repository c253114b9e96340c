"""What reaches a real Pushgateway, and that a gateway's absence stops nothing."""

from __future__ import annotations

import socket
import subprocess
import threading
from dataclasses import replace

import pytest
import requests
from nightdesk.stack.tools import Tools
from nightdesk_core.models.pipeline import TrainingError
from nightdesk_exporter.metrics.catalogue import RETRAIN
from nightdesk_retrain import job, state
from nightdesk_retrain.parts import JobParts
from nightdesk_retrain.publish import JobReport, push, retire
from nightdesk_retrain.state import JobState

from tests.retrain.conftest import FakePipeline, pushed, schedule_of


@pytest.fixture
def pushing(parts: JobParts, pushgateway: str, request: pytest.FixtureRequest) -> JobParts:
    """A job that pushes under its test's own name."""
    return replace(parts, gateway=pushgateway, bot=str(request.node.name)[:60])


def test_a_failed_run_keeps_the_last_success_and_its_numbers(pushing: JobParts, pipeline: FakePipeline) -> None:
    job.run(pushing, trigger="manual", bootstrap=True)
    before = pushed(pushing.gateway, pushing.bot)
    pipeline.error = TrainingError("only 3 labelled breakouts")
    with pytest.raises(TrainingError):
        job.run(pushing, trigger="schedule")
    after = pushed(pushing.gateway, pushing.bot)
    for kept in (
        "retrain_last_success_timestamp_seconds",
        'promotion_sharpe_ratio{model="candidate"}',
        "promotion_last_promoted_timestamp_seconds",
        'promotion_criterion_passed{criterion="trades"}',
    ):
        assert after[kept] == before[kept]
    assert before['promotion_decision{tradebot_promotion_decision="promoted"}'] == 1
    assert after['promotion_decision{tradebot_promotion_decision="promoted"}'] == 0
    assert after['promotion_decision{tradebot_promotion_decision="error"}'] == 1
    assert (before["retrain_consecutive_failures"], after["retrain_consecutive_failures"]) == (0, 1)
    assert after["retrain_last_completion_timestamp_seconds"] > before["retrain_last_completion_timestamp_seconds"]
    assert after['retrain_trigger{tradebot_retrain_trigger="schedule"}'] == 1


def test_a_run_pushes_its_start_before_its_end(pushing: JobParts, pipeline: FakePipeline) -> None:
    seen: dict[str, float] = {}

    class Looking(FakePipeline):
        def collect(self, **arguments: object) -> object:  # type: ignore[override]
            seen.update(pushed(pushing.gateway, pushing.bot))
            return super().collect(**arguments)  # type: ignore[arg-type]

    job.run(replace(pushing, pipeline=Looking()), trigger="schedule", bootstrap=True)
    assert "retrain_last_start_timestamp_seconds" in seen
    assert "retrain_last_completion_timestamp_seconds" not in seen


def test_everything_pushed_is_catalogued_and_promtool_finds_nothing_wrong(
    pushing: JobParts, pipeline: FakePipeline, tools: Tools
) -> None:
    job.run(pushing, trigger="manual", bootstrap=True)
    pipeline.daily_edge = 0.004
    schedule_of(pushing).look()
    better = job.run(pushing, trigger="schedule")
    pushing.registry.roll_back(better.version, "a test")
    schedule_of(pushing).look()
    names = {series.split("{")[0] for series in pushed(pushing.gateway, pushing.bot)}
    assert {f"tradebot_{name}" for name in names} == {metric.full_name for metric in RETRAIN}
    lines = requests.get(f"http://{pushing.gateway}/metrics", timeout=5).text.splitlines(keepends=True)
    ours = "".join(line for line in lines if line.startswith(("tradebot_", "# HELP tradebot_", "# TYPE tradebot_")))
    done = subprocess.run(
        [tools.promtool, "check", "metrics"], input=ours.encode(), capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


def test_the_champion_is_named_once(pushing: JobParts, pipeline: FakePipeline) -> None:
    job.run(pushing, trigger="manual", bootstrap=True)
    pipeline.daily_edge = 0.004
    outcome = job.run(pushing, trigger="schedule")
    champions = [
        series for series in pushed(pushing.gateway, pushing.bot) if series.startswith("promotion_champion_info")
    ]
    assert champions == [f'promotion_champion_info{{version="{outcome.version}"}}']


def test_two_bots_do_not_overwrite_each_other(pushgateway: str) -> None:
    for bot, failures in (("eth", 1), ("sol", 2)):
        assert push(JobReport(JobState(consecutive_failures=failures), 60.0), gateway=pushgateway, bot=bot)
    found = [pushed(pushgateway, bot)["retrain_consecutive_failures"] for bot in ("eth", "sol")]
    assert found == [1, 2]


def test_without_a_gateway_the_run_succeeds_all_the_same(parts: JobParts) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        outcome = job.run(replace(parts, gateway=address), trigger="manual", bootstrap=True)
    assert outcome.decision == "promoted"
    assert state.load(parts.state_dir).last_success is not None


def test_something_else_that_listens_at_the_gateway_s_port_stops_nothing() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        assert push(JobReport(JobState(), 60.0), gateway=address, bot="btc") is False
        thread.join(timeout=5)


def test_while_the_gateway_is_away_the_metrics_lie_in_a_file_that_promtool_reads_and_go_once_it_is_back(
    parts: JobParts, pushgateway: str, tools: Tools
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = replace(parts, gateway=f"127.0.0.1:{closed.getsockname()[1]}", bot="textfile")
        job.run(away, trigger="manual", bootstrap=True)
    (path,) = parts.textfile_dir.iterdir()
    assert path.name == "nightdesk_retrain_textfile.prom"
    text = path.read_text()
    assert 'tradebot_promotion_decision{bot="textfile",tradebot_promotion_decision="promoted"} 1.0' in text
    assert 'tradebot_retrain_last_success_timestamp_seconds{bot="textfile"}' in text
    done = subprocess.run(
        [tools.promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")
    schedule_of(replace(away, gateway=pushgateway)).look()
    assert list(parts.textfile_dir.iterdir()) == []


def test_a_folder_that_takes_no_file_stops_nothing(parts: JobParts) -> None:
    parts.textfile_dir.write_text("a file where the folder should be")
    assert job.run(parts, trigger="manual", bootstrap=True).decision == "promoted"


def test_a_bot_that_is_no_more_is_forgotten_and_only_that(pushgateway: str) -> None:
    for bot in ("gone", "here"):
        assert push(JobReport(JobState(consecutive_failures=1), 60.0), gateway=pushgateway, bot=bot)
    retire(gateway=pushgateway, bot="gone")
    assert pushed(pushgateway, "gone") == {}
    assert pushed(pushgateway, "here")["retrain_consecutive_failures"] == 1
