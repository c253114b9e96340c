"""`nightdesk retrain --request`: it asks, says what came of it, and returns at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from nightdesk import home
from nightdesk.cli.main import app
from nightdesk.settings import Settings, load
from nightdesk_core.clock import WallTime
from nightdesk_exporter import StatusFile
from nightdesk_retrain.judgement.trials import Trial, TrialLedger
from typer.testing import CliRunner


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "nightdesk.yml"
    path.write_text("home: .\n")
    return load(path)


def run(settings: Settings, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--settings", str(settings.home / "nightdesk.yml"), *arguments])
    return done.exit_code, done.output


def test_a_request_prints_its_key_and_a_second_one_that_it_was_merged(settings: Settings) -> None:
    code, said = run(settings, "retrain", "--request", "--reason", "fees have doubled")
    (request,) = home.retrain_requests(settings).pending()
    assert (code, said) == (
        0,
        f"requested: {request.key}; the schedule takes it up at its next look, and the gate decides\n",
    )
    assert (request.cause, request.reason) == ("manual", "fees have doubled")
    code, said = run(settings, "retrain", "--request", "--reason", "and again")
    assert code == 0
    assert said.startswith(f"merged into {request.key}, which is pending since ")
    assert said.endswith(": asked for 2 times\n")
    assert [entry.event for entry in home.audit_log(settings).entries()] == ["retrain_requested"] * 2


def test_the_status_names_the_requests_that_are_pending(settings: Settings) -> None:
    run(settings, "retrain", "--request", "--reason", "fees have doubled")
    (request,) = home.retrain_requests(settings).pending()
    StatusFile(home.status_file(settings).path).replace({"bot": {}}, now=WallTime(time.time()), lifetime_seconds=60)
    code, said = run(settings, "status")
    assert code == 0
    assert f"retrain requested by manual  ({request.key}, since " in said
    assert said.endswith("  fees have doubled\n")


@pytest.mark.parametrize(
    "arguments",
    [["--request"], ["--reason", "why"], *(["--request", "--reason", "why", f"--{x}"] for x in ("dry-run", "if-due"))],
)
def test_options_that_do_not_go_together_ask_for_nothing(arguments: list[str], settings: Settings) -> None:
    code, _ = run(settings, "retrain", *arguments)
    assert code == 2
    assert home.retrain_requests(settings).pending() == []


def test_a_request_and_a_look_at_the_schedule_are_bound_by_the_market_s_speed(settings: Settings) -> None:
    assert settings.scale.speed == 18_000
    schedule = home.schedule(settings)
    assert (schedule.interval_seconds, schedule.model_age_seconds) == (144, 432)


@pytest.mark.parametrize(
    ("tried", "said"),
    [(0, "it is the first trial"), (1, "2 trials so far count as 2; the best of so many shows 1.60 by luck")],
)
def test_a_run_prints_its_criteria_and_what_is_left_of_the_sharpe_ratio(
    tried: int, said: str, settings: Settings
) -> None:
    if tried:
        home.state_dir(settings).mkdir()
        TrialLedger(home.state_dir(settings)).add(Trial("v0", (86_400, 172_800, 259_200), (0.01, -0.01, 0.02)))
    command = ("--set", "retrain.pipeline=tests.retrain.conftest:FakePipeline", "retrain", "--dry-run")
    code, printed = run(settings, *command)
    assert code == 0
    assert "  met     trades                                   60  at least 50\n" in printed
    left = "  its deflated Sharpe ratio, the probability that it is truly above 0, is "
    (line,) = [line for line in printed.splitlines() if line.startswith(left)]
    assert line.endswith(f"% ({said})")
