"""Whether alerts arrive, tried before they must: each channel for itself, and the way through Alertmanager."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from nightdesk.answers import AnswerError, ask
from nightdesk.cli.main import app
from nightdesk.drill import DrillError, drill
from nightdesk.passwords import login
from nightdesk.render.configuration import render
from nightdesk.settings import Settings
from nightdesk.stack.servers import alertmanager_command
from nightdesk.stack.tools import Tools
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_alerts.delivery.drill import DRILL_ALERT
from typer.testing import CliRunner

from tests.desk.answering import answering, hanging_up, no_http, saying, silence
from tests.desk.conftest import Load

DISCORD = "operations.alerts.discord_webhook_url"
OWN = "sandbox.enabled=false"


@contextmanager
def running(command: list[str], settings: Settings, service: Any, path: str) -> Iterator[None]:
    """Run a server until it answers, and end it."""
    log = settings.home / f"{service}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                url = f"http://{settings.address(service)}{path}"
                if ask(url, login=login(settings, service) if service == "alertmanager" else None).ok:
                    break
            except AnswerError:
                pass
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_channel_takes_it_or_it_is_said_why_not_and_the_exit_code_says_so(
    settings_with: Load, settings_file: Path
) -> None:
    port = settings_with().port("exchange")
    hook = settings_file.parent / "hook"
    hook.write_text(f"http://127.0.0.1:{port}/api/webhooks/1/s3cret")
    arguments = ["--settings", str(settings_file), "--set", OWN, "--set", f"{DISCORD}_file={hook}", "drill"]
    answers = [
        (saying({}, status=204), 0, "delivered"),
        (saying({}, status=404), 1, "FAILED: refused for good: HTTP 404"),
        (saying({}, status=500), 1, "FAILED: HTTP 500"),
        (hanging_up, 1, "FAILED: no connection"),
        (no_http, 1, "FAILED: no connection"),
    ]
    for talk, code, said in answers:
        with answering(port, talk):
            done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, "s3cret" in done.stdout) == (code, False), done.exception
        assert f"s  {said}" in done.stdout
        assert "discord" in done.stdout
        assert "the way through it was not tried" in done.stdout
    assert "FAILED: no connection" in CliRunner().invoke(app, arguments).stdout


@pytest.mark.parametrize(
    ("assignments", "said"),
    [([OWN], "there is no channel to try"), (["operations.alerts.enabled=false"], "nobody is told anything")],
)
def test_where_there_is_nothing_to_try_that_is_an_error(assignments: list[str], said: str, settings_with: Load) -> None:
    with pytest.raises(DrillError, match=said):
        list(drill(settings_with(*assignments)))


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (saying({}, status=401), "another password"),
        (saying({}, status=500), "answers 500"),
        (saying(b"# no metrics {{{"), ""),
        (hanging_up, "does not answer"),
        (silence, "does not answer"),
    ],
)
def test_whatever_listens_in_alertmanager_s_place_is_a_failure_in_words(
    talk: Any, said: str, settings_with: Load
) -> None:
    port = settings_with().port("exchange")
    settings = settings_with(OWN, f"{DISCORD}=http://127.0.0.1:{port}/x")
    with answering(port, saying({}, status=204)), answering(settings.port("alertmanager"), talk):
        direct, through = drill(settings, wait_seconds=0.5)
    assert direct.problem == ""
    assert through.problem
    assert said in through.problem


def test_no_alert_of_ours_has_the_drill_s_name_and_none_is_muted_by_it() -> None:
    assert DRILL_ALERT not in {rule.name for alert in ALERTS for rule in alert.rules}


@pytest.mark.servers
def test_a_drill_takes_the_real_way_through_alertmanager_and_says_what_kept_it(
    settings_with: Load, settings_file: Path, tools: Tools
) -> None:
    settings = settings_with()
    rendered = render(settings, out=settings.home / "rendered")
    nightdesk = [sys.executable, "-m", "nightdesk", "--settings", str(settings_file)]
    with ExitStack() as stack:
        stack.enter_context(running([*nightdesk, "sandbox", "inbox"], settings, "inbox", "/healthz"))
        command = alertmanager_command(settings, tools, rendered)
        stack.enter_context(running(command, settings, "alertmanager", "/-/ready"))
        for _ in range(2):  # the second is told like the first, which still fires
            results = list(drill(settings))
            assert {result.place for result in results} == {
                *("discord", "mail"),
                *("discord through Alertmanager", "mail through Alertmanager"),
            }
            assert [result.problem for result in results] == [""] * 4
        messages = requests.get(f"http://{settings.address('inbox')}/api/messages", timeout=5).json()["messages"]
        told = [message for message in messages if "This is a drill" in str(message)]
        assert len(told) >= 8
        # One channel fails, and the other does not.
        fault = [*nightdesk, "sandbox", "fault", "error500", "--channel", "discord", "--seconds", "60"]
        subprocess.run(fault, check=True, capture_output=True)
        problems = {result.place: result.problem for result in drill(settings, wait_seconds=10)}
        assert problems["mail"] == problems["mail through Alertmanager"] == ""
        assert "HTTP" in problems["discord"]
        assert "attempts failed" in problems["discord through Alertmanager"]
        clear = [*nightdesk, "sandbox", "fault", "clear", "--channel", "any"]
        subprocess.run(clear, check=True, capture_output=True)
        silence_all = [*nightdesk, "amtool", "silence", "add", "--comment=all", "alertname=~.+"]
        subprocess.run(silence_all, check=True, capture_output=True)
        problems = {result.place: result.problem for result in drill(settings, wait_seconds=8)}
        assert problems["discord"] == ""
        assert problems["discord through Alertmanager"] == "muted by a silence: nightdesk silences"
