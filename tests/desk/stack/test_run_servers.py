"""`nightdesk run --servers`: the servers alone, for a bot of a person's own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nightdesk.answers import AnswerError, ask
from nightdesk.cli.main import app
from nightdesk.passwords import login
from nightdesk.stack.running import run_dir
from nightdesk.stack.supervisor_client import SupervisorClient, SupervisorError, socket_path
from nightdesk_exporter import BotExporter
from pydantic import BaseModel
from typer.testing import CliRunner

from tests.desk.conftest import Load
from tests.e2e.conftest import free_ports


class _Series(BaseModel):
    metric: dict[str, str]


class _Data(BaseModel):
    result: list[_Series]


class _Found(BaseModel):
    data: _Data


@pytest.mark.servers
def test_a_bot_that_runs_here_is_scraped_and_expected_and_no_reference_bot_runs(
    settings_with: Load, settings_file: Path
) -> None:
    settings = settings_with()
    (port,) = free_ports(1)
    log = settings_file.parent / "log"
    command = [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), "run", "--servers"]

    def bots(query: str) -> set[str]:
        url = f"http://{settings.address('prometheus')}/api/v1/query"
        try:
            answer = ask(url, parameters={"query": query}, login=login(settings, "prometheus")).read(_Found)
        except AnswerError:  # it starts yet
            return set()
        return {series.metric["bot"] for series in answer.data.result}

    with BotExporter("mine", symbols=[("BTC/USDT", "1h")], port=port), log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            deadline = time.monotonic() + 120
            while bots('up{job="tradebot"} == 1') != {"mine"}:
                assert time.monotonic() < deadline, log.read_text()
                assert running.poll() is None, log.read_text()
                time.sleep(0.3)
            assert bots("bot:tradebot_expected:info") <= {"mine"}
            names = {state.name for state in SupervisorClient(socket_path(run_dir(settings))).states()}
            assert names - {"grafana"} == {"prometheus", "alertmanager", "pushgateway", "pages"}
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    assert running.returncode == 0, log.read_text()
    with pytest.raises(SupervisorError):
        SupervisorClient(socket_path(run_dir(settings))).states()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--servers"], "there is no bot to look after"),
        (["--servers", "--fresh"], "--servers runs no replay"),
        (["--servers", "--scenario", "crash"], "--servers runs no replay"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], said: str, settings_file: Path) -> None:
    done = CliRunner().invoke(app, ["--settings", str(settings_file), "run", *arguments])
    assert said in str(done.exception)
