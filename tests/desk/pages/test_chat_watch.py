"""A Telegram group that moves while Alertmanager alone writes to it: it is followed, and nothing is lost."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import yaml
from nightdesk.pages.chat_watch import ChatWatch, Telegram, look_at_telegram
from nightdesk.passwords import url_with_login
from nightdesk.render.configuration import render
from nightdesk.settings import PortSettings, Settings, load
from nightdesk.stack.renewal import renew_alertmanager
from nightdesk.stack.running import StackError, log_dir, run_dir
from nightdesk.stack.servers import alertmanager_command
from nightdesk.stack.supervisor import Program, Supervisor
from nightdesk.stack.tools import Tools
from nightdesk_alerts import AlertSender
from nightdesk_alerts.moved_chats import MovedChats
from nightdesk_core.errors import NightdeskError

from tests.alerts.test_telegram import NEW, NEWEST, OLD, BotApi, bot_api, error, upgraded
from tests.desk.conftest import Load
from tests.desk.pages.conftest import awaited
from tests.desk.pages.test_watch import Sender
from tests.e2e.conftest import free_ports


@pytest.fixture
def telegram() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


class Desk:
    """A watch whose Alertmanager writes to `chats`, and takes over what is rendered where `works`."""

    def __init__(self, telegram: BotApi) -> None:
        self.telegram = telegram
        self.chats = {OLD}
        self.failed: float | None = 0.0
        self.works = True
        self.renewed = 0
        self.moved = MovedChats(None)
        self.sender = Sender()
        channels = telegram.alerting().channels
        self.watch = ChatWatch(channels, look=self._look, moved=self.moved, renew=self._renew)

    def see(self, failed: float | None) -> None:
        """Look once, with so many attempts failed."""
        self.failed = failed
        self.watch.look_once(cast(AlertSender, self.sender))

    def _look(self) -> Telegram:
        if self.failed is None:
            raise NightdeskError("does not answer")
        return Telegram(frozenset(self.chats), self.failed)

    def _renew(self) -> None:
        self.renewed += 1
        if not self.works:
            raise StackError("then do it by hand")
        self.chats = {self.moved.now_at(chat) for chat in self.chats}


@pytest.fixture
def desk(telegram: BotApi) -> Desk:
    return Desk(telegram)


def test_a_chat_is_asked_for_only_where_more_attempts_fail(desk: Desk) -> None:
    for failed in (0, None, 0, 2, 2, None, 2, 0, 1):
        desk.see(failed)
    assert desk.telegram.actions == [{"chat_id": OLD, "action": "typing"}] * 2
    assert desk.telegram.asked == []
    assert desk.renewed == 0
    assert desk.sender.calls == []


def test_a_chat_that_moves_and_moves_again_is_followed_and_each_number_is_told_once(desk: Desk) -> None:
    desk.telegram.answer = lambda sent: upgraded(int(NEW)) if sent["chat_id"] == OLD else (200, {"ok": True})
    for failed in (1, 1, 2, 3):
        desk.see(failed)
    assert (desk.chats, desk.renewed) == ({NEW}, 1)
    assert desk.sender.calls == [("send", "AlertmanagerNotificationsFailing")]
    told = f"The Telegram chat {OLD} has become {NEW}: set operations.alerts.telegram_chat_id to {NEW}. "
    assert told in desk.sender.said
    desk.telegram.answer = lambda sent: upgraded(int(NEWEST)) if sent["chat_id"] == NEW else (200, {"ok": True})
    desk.see(4)
    assert (desk.chats, desk.renewed) == ({NEWEST}, 2)
    assert f"The Telegram chat {NEW} has become {NEWEST}" in desk.sender.said


def test_what_the_bot_found_first_is_followed_without_a_question(desk: Desk) -> None:
    desk.moved.remember(OLD, NEW)
    desk.see(0)
    assert (desk.chats, desk.telegram.actions) == ({NEW}, [])


def test_where_alertmanager_cannot_be_reached_it_is_tried_again_and_said_once_what_to_do(desk: Desk) -> None:
    desk.telegram.answer = lambda _sent: upgraded(int(NEW))
    desk.works = False
    desk.see(1)
    desk.see(1)
    assert (desk.renewed, len(desk.sender.calls)) == (2, 1)
    assert desk.sender.said.endswith("What Alertmanager sends does not arrive until then: then do it by hand.")
    assert desk.sender.lasting == [True]
    desk.works = True
    desk.see(1)
    assert desk.chats == {NEW}
    for failed in (1, 1):
        desk.see(failed)
    name = "AlertmanagerNotificationsFailing"
    assert desk.sender.calls == [("send", name), ("withdraw", name)]


def test_that_alertmanager_follows_is_news_which_nobody_has_to_end(desk: Desk) -> None:
    desk.moved.remember(OLD, NEW)
    for failed in (0, 0, 0):
        desk.see(failed)
    assert desk.sender.lasting == [False]
    assert desk.sender.calls == [("send", "AlertmanagerNotificationsFailing")]


def test_where_a_person_has_alertmanager_follow_the_alert_ends_too(desk: Desk) -> None:
    desk.moved.remember(OLD, NEW)
    desk.works = False
    desk.see(0)
    desk.chats = {NEW}
    desk.see(0)
    assert [call for call, _ in desk.sender.calls] == ["send", "withdraw"]


@pytest.mark.parametrize("answer", [error(401, "Unauthorized"), error(403, "Forbidden"), error(429, "x"), upgraded(5)])
def test_what_is_no_move_changes_nothing(answer: tuple[int, dict[str, Any]], desk: Desk) -> None:
    desk.telegram.answer = lambda _sent: answer
    desk.see(1)
    assert (desk.renewed, desk.sender.calls) == (0, [])


def test_in_compose_it_is_said_what_a_person_has_to_run(settings_with: Load) -> None:
    with pytest.raises(StackError, match=r"docker compose run --rm render.*docker compose kill -s HUP alertmanager"):
        renew_alertmanager(settings_with("stack.network=compose"))


def test_without_a_stack_it_is_said_and_nothing_is_rendered(settings_with: Load) -> None:
    settings = settings_with()
    with pytest.raises(StackError, match=r"nightdesk render.*SIGHUP.*the stack is not running"):
        renew_alertmanager(settings)
    assert not (settings.home / "rendered").exists()


def _settings(home: Path, telegram: BotApi) -> tuple[Path, Settings]:
    names = tuple(PortSettings.model_fields)
    alerts = {"telegram_bot_token": "123:s3cret", "telegram_chat_id": OLD, "telegram_api_url": telegram.url}
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    document = {"home": str(home), "stack": {"ports": ports}, "operations": {"alerts": alerts}}
    file = home / "nightdesk.yml"
    file.write_text(yaml.safe_dump(document))
    return file, load(file)


@pytest.mark.servers
def test_the_page_server_has_a_real_alertmanager_follow_and_what_was_refused_arrives(
    tools: Tools, tmp_path: Path, telegram: BotApi
) -> None:
    # A message as the Bot API returns it: without its chat Alertmanager panics.
    message = {"message_id": 1, "date": 1, "chat": {"id": int(NEW), "type": "supergroup"}}
    telegram.answer = lambda sent: (
        upgraded(int(NEW)) if sent["chat_id"] == OLD else (200, {"ok": True, "result": message})
    )
    file, settings = _settings(tmp_path, telegram)
    rendered = render(settings, out=settings.home / "rendered")
    pages = [sys.executable, "-m", "nightdesk", "--settings", str(file), "pages"]
    programs = [
        Program("alertmanager", alertmanager_command(settings, tools, rendered)),
        Program("pages", pages, autostart=False),
    ]
    with Supervisor(programs, folder=run_dir(settings), log_dir=log_dir(settings)) as supervisor:
        url = url_with_login(settings, "alertmanager")
        awaited(lambda: requests.get(f"{url}/-/ready", timeout=2).ok, "Alertmanager")
        assert look_at_telegram(settings) == Telegram(frozenset({OLD}), 0.0)
        now = datetime.now(UTC)
        alert = {
            "labels": {"alertname": "TradebotGuardPaused", "severity": "critical", "bot": "btc"},
            "annotations": {"summary": "Lost by no means.", "description": "x"},
            "startsAt": (now - timedelta(minutes=5)).isoformat(),
            "endsAt": (now + timedelta(minutes=5)).isoformat(),
        }
        assert requests.post(f"{url}/api/v2/alerts", json=[alert], timeout=5).ok
        awaited(lambda: telegram.asked, "the message that is refused")
        awaited(lambda: look_at_telegram(settings).failed > 0, "Alertmanager to count it")
        assert telegram.taken == []
        supervisor.start("pages")
        awaited(lambda: len(telegram.taken) >= 2, f"what was refused, and what to set; see {tmp_path}")
        time.sleep(0.5)
        assert look_at_telegram(settings).chats == {NEW}
    texts = [sent["text"] for sent in telegram.taken]
    assert len(texts) == 2, texts
    assert sum("Lost by no means." in text for text in texts) == 1
    assert sum(f"set operations.alerts.telegram_chat_id to {NEW}" in text for text in texts) == 1
    assert {str(sent["chat_id"]) for sent in telegram.taken} == {NEW}
    assert len(telegram.actions) >= 1
