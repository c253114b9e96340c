"""The whole stack with the real servers: a bot that goes down is told of on both channels, and so is its return."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from nightdesk import settings as settings_module
from nightdesk.growth import purpose_of
from nightdesk.passwords import url_with_login
from nightdesk.settings import Settings
from nightdesk.stack.running import run_dir
from nightdesk.stack.supervisor_client import SupervisorClient
from nightdesk.stack.tools import Tools
from nightdesk_core.audit import AuditLog

from tests.e2e.conftest import nightdesk, until
from tests.e2e.test_parity import all_candles, install
from tests.other_user import open_entries

UP_SECONDS = 120.0
ALERT_SECONDS = 45.0


class Stack:
    """A `nightdesk run` of its own, without a terminal."""

    def __init__(self, settings_file: Path, tools: Tools, log: Path) -> None:
        self.settings_file = settings_file
        self.settings: Settings = settings_module.load(settings_file)
        self.log = log
        # The tools that the checkout has already fetched are good versions on the PATH.
        self.environment = {**os.environ, "PATH": f"{tools.prometheus.parent}:{os.environ['PATH']}"}
        self._output = log.open("wb")
        self.process = subprocess.Popen(
            nightdesk(settings_file, "run"),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=self.environment,
            umask=0,
        )

    def close(self) -> None:
        """Stop it as Ctrl-C does, and for good where that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()

    def command(self, *arguments: str) -> str:
        """Run a command beside it and return what it prints."""
        done = subprocess.run(
            nightdesk(self.settings_file, *arguments), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def until_up(self) -> None:
        """Wait until every service is healthy."""

        async def up() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"the stack ended by itself:\n{self.log.read_text()}")
            return "all is up" in self.log.read_text()

        await until(up, f"the stack to come up, see {self.log}", seconds=UP_SECONDS)

    def messages(self, **query: str) -> list[dict[str, Any]]:
        """Return what reached the inbox."""
        answer = requests.get(f"http://{self.settings.address('inbox')}/api/messages", params=query, timeout=5)
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    def listening(self) -> list[str]:
        """Return the services whose ports something still listens on."""
        ports = self.settings.stack.ports.model_dump()
        found = []
        for name, port in ports.items():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    found.append(name)
        return found


@pytest.fixture
def trained(settings_file: Path) -> Path:
    """Settings of a home with a model, which a stack does not have to train first."""
    settings = settings_module.load(settings_file)
    install(settings, all_candles(settings), seed=7, standing="provisional")
    return settings_file


@asynccontextmanager
async def stack_up(settings_file: Path, tools: Tools, log: Path) -> AsyncIterator[Stack]:
    """Yield a stack that is up."""
    stack = Stack(settings_file, tools, log)
    try:
        await stack.until_up()
        yield stack
    finally:
        stack.close()


async def told(stack: Stack, *, channel: str, alertname: str, status: str) -> bool:
    """Return whether a message about an alert has reached a channel."""
    return any(
        (message["alertname"], message["status"]) == (alertname, status) for message in stack.messages(channel=channel)
    )


def firing(stack: Stack, alertname: str) -> list[Any]:
    """Return the messages by Discord that say that an alert fires."""
    messages = stack.messages(channel="discord")
    return [message for message in messages if (message["alertname"], message["status"]) == (alertname, "firing")]


async def told_directly(stack: Stack, alertname: str) -> bool:
    """Return whether a second message has come."""
    return len(firing(stack, alertname)) == 2


async def prometheus_fires(stack: Stack, alertname: str) -> bool:
    """Return whether Prometheus' own rule fires."""
    answer = requests.get(f"{url_with_login(stack.settings, 'prometheus')}/api/v1/alerts", timeout=5).json()
    return any(alert["labels"]["alertname"] == alertname for alert in answer["data"]["alerts"])


def files_of(settings: Settings) -> list[Path]:
    """Return every file of a home."""
    return [path for path in settings.home.rglob("*") if path.is_file()]


async def test_a_bot_that_goes_down_is_told_of_by_discord_and_mail_and_so_is_its_return(
    settings_file: Path, tools: Tools, tmp_path: Path
) -> None:
    async with stack_up(settings_file, tools, tmp_path / "run.log") as stack:
        assert "provisional" in stack.command("models", "list")
        assert not await told(stack, channel="discord", alertname="TradebotDown", status="firing")

        stack.command("stack", "stop", "bot")
        for channel in ("discord", "email"):
            await until(
                lambda channel=channel: told(stack, channel=channel, alertname="TradebotDown", status="firing"),  # type: ignore[misc]
                f"TradebotDown by {channel}",
                seconds=ALERT_SECONDS,
            )

        stack.command("stack", "start", "bot")
        for channel in ("discord", "email"):
            await until(
                lambda channel=channel: told(stack, channel=channel, alertname="TradebotDown", status="resolved"),  # type: ignore[misc]
                f"the end of TradebotDown by {channel}",
                seconds=ALERT_SECONDS,
            )

        assert "is active" in stack.command("kill", "--reason", "a test of the kill switch")
        await until(
            lambda: told(stack, channel="discord", alertname="TradebotKillSwitchActive", status="firing"),
            "the kill switch by Discord",
            seconds=ALERT_SECONDS,
        )
        # The bot tells it at once, and the rule the same a little later: one message.
        await until(lambda: prometheus_fires(stack, "TradebotKillSwitchActive"), "the rule", seconds=ALERT_SECONDS)
        assert "may enter again" in stack.command("resume", "--reason", "the test is over")
        await until(
            lambda: told(stack, channel="discord", alertname="TradebotKillSwitchActive", status="resolved"),
            "the end of the kill switch by Discord",
            seconds=ALERT_SECONDS,
        )
        assert len(firing(stack, "TradebotKillSwitchActive")) == 1

        stack.command("stack", "stop", "alertmanager")
        stack.command("kill", "--reason", "a test without an Alertmanager")
        await until(
            lambda: told_directly(stack, "TradebotKillSwitchActive"),
            "the kill switch by Discord, straight from the bot",
            seconds=ALERT_SECONDS,
        )
        stack.command("stack", "start", "alertmanager")
        assert "may enter again" in stack.command("resume", "--reason", "the test is over")

        page = requests.get(f"{url_with_login(stack.settings, 'pushgateway')}/metrics", timeout=5).text
        assert 'tradebot_promotion_decision{bot="btc"' in page.replace('instance="",', "")
        assert open_entries(stack.settings.home) == {}, "while all runs, begun under a umask of 0"

    assert open_entries(stack.settings.home) == {}
    assert "stopped" in stack.log.read_text()
    assert stack.process.returncode == 0, stack.log.read_text()
    assert stack.listening() == []
    assert [str(path) for path in files_of(stack.settings) if purpose_of(path, stack.settings) is None] == []
    log = AuditLog(stack.settings.path(stack.settings.bot.state_dir) / "audit.jsonl")
    log.verify()
    # On a slow machine the schedule retrains meanwhile, and has entries of its own.
    events = [entry.event for entry in log.entries() if entry.actor != "retrain"]
    assert events == ["kill_switch_activated", "kill_switch_lifted"] * 2
    assert [entry.event for entry in log.entries()][:2] == ["verdict", "rotated"]


async def test_nothing_is_left_behind_when_the_stack_is_killed(trained: Path, tools: Tools, tmp_path: Path) -> None:
    async def nothing_listens(stack: Stack) -> bool:
        return stack.listening() == []

    async with stack_up(trained, tools, tmp_path / "run.log") as stack:
        stack.process.kill()
        await until(lambda: nothing_listens(stack), "everything to end with its parent", seconds=20)


async def test_known_failure_21_no_answer_no_message_no_reader_and_no_dead_supervisor_ends_the_stack(
    trained: Path, tools: Tools, tmp_path: Path
) -> None:
    async def says(words: str) -> bool:
        return words in stack.log.read_text()

    async def answers() -> bool:
        try:
            return requests.get(f"{stack.settings.bot_url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    async with stack_up(trained, tools, tmp_path / "run.log") as stack:
        hostile = {"title": "[/boom]\x1b]0;owned\x07\u202e"}
        posted = requests.post(f"http://{stack.settings.address('inbox')}/webhook/x", json=hostile, timeout=5)
        assert posted.ok
        await until(lambda: says("last alert: [/boom]\ufffd]0;owned\ufffd\ufffd"), "the message as text", seconds=20)

        supervisord = int((stack.settings.home / "run" / "supervisord.pid").read_text())
        stack.process.send_signal(signal.SIGHUP)  # its terminal is closed
        os.kill(supervisord, signal.SIGKILL)
        await until(lambda: says("the supervisor runs again"), "the supervisor to be started again", seconds=30)
        await until(answers, "the bot to trade again", seconds=60)
        assert stack.process.poll() is None

    assert stack.process.returncode == 0, stack.log.read_text()
    assert "Traceback" not in stack.log.read_text()
    assert stack.listening() == []


async def test_a_killed_service_comes_back(trained: Path, tools: Tools, tmp_path: Path) -> None:
    async with stack_up(trained, tools, tmp_path / "run.log") as stack:
        supervisor = SupervisorClient(run_dir(stack.settings) / "supervisor.sock")
        before = supervisor.state("bot").pid
        assert str(before) in stack.command("stack", "status").split()
        os.kill(before, signal.SIGKILL)

        async def back() -> bool:
            return supervisor.state("bot").pid not in (0, before)

        await until(back, "the bot to be started again", seconds=60)


def test_a_taken_port_is_named_before_anything_starts(settings_file: Path, tools: Tools, tmp_path: Path) -> None:
    settings = settings_module.load(settings_file)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.port("prometheus")))
        taken.listen()
        done = subprocess.run(
            nightdesk(settings_file, "run"),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PATH": f"{tools.prometheus.parent}:{os.environ['PATH']}"},
        )
    assert done.returncode == 2
    port = settings.port("prometheus")
    assert done.stderr == (
        f"nightdesk: the stack cannot start: port {port} for prometheus"
        " (Address already in use; set stack.ports.prometheus)\n"
    )
