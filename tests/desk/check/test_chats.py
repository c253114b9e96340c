"""What `nightdesk check` finds out from Telegram before anybody has to be told anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nightdesk.check.channels import check_chats
from nightdesk.check.result import SetupError
from nightdesk.check.setup import check
from nightdesk.settings import Settings
from nightdesk_alerts.moved_chats import FILE_NAME, MovedChats

from tests.alerts.test_telegram import NEW, OLD, BotApi, bot_api, error, upgraded
from tests.desk.conftest import Load

ALERTS = "operations.alerts"
SECRET = "s3cret"


@pytest.fixture
def telegram() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


@pytest.fixture
def settings(settings_with: Load, telegram: BotApi, tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text(f"123:{SECRET}")
    token, server = f"telegram_bot_token_file={tmp_path / 'token'}", f"telegram_api_url={telegram.url}"
    return settings_with(*(f"{ALERTS}.{each}" for each in (token, server, f"telegram_chat_id={OLD}")))


def test_a_chat_that_takes_messages_is_sent_none(settings: Settings, telegram: BotApi) -> None:
    assert check_chats(settings) == "Telegram would take a message"
    assert telegram.actions == [{"chat_id": OLD, "action": "typing"}]
    assert telegram.asked == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (upgraded(int(NEW)), f"the chat {OLD} has become {NEW}: set {ALERTS}.telegram_chat_id to {NEW}"),
        (error(401, "Unauthorized"), "refused (HTTP 401, Unauthorized), and nobody is told there"),
        (error(403, "Forbidden: bot was kicked from the group chat"), "refused (HTTP 403, Forbidden: bot was kicked"),
        (error(400, "Bad Request: chat not found"), "refused (HTTP 400, Bad Request: chat not found)"),
        (error(404, "Not Found"), "refused (HTTP 404, Not Found)"),
        (error(429, "Too Many Requests", retry_after=3), "it cannot be asked now (HTTP 429, Too Many Requests)"),
        ((502, {}), "it cannot be asked now (HTTP 502)"),
    ],
)
def test_a_chat_that_takes_none_is_wrong_with_the_reason_and_what_to_do(
    answer: tuple[int, dict[str, Any]], said: str, settings: Settings, telegram: BotApi
) -> None:
    telegram.answer = lambda _sent: answer
    with pytest.raises(SetupError) as raised:
        check_chats(settings)
    assert said in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_move_that_is_followed_already_still_belongs_into_the_settings(settings: Settings, telegram: BotApi) -> None:
    telegram.answer = lambda sent: upgraded(int(NEW)) if sent["chat_id"] == OLD else (200, {"ok": True})
    MovedChats(settings.path(settings.bot.state_dir) / FILE_NAME).remember(OLD, NEW)
    with pytest.raises(SetupError, match=f"set {ALERTS}.telegram_chat_id to {NEW}"):
        check_chats(settings)


def test_the_whole_check_asks_only_where_it_may(settings: Settings, settings_file: Path, telegram: BotApi) -> None:
    telegram.answer = lambda _sent: upgraded(int(NEW))
    found = {each.subject: each for each in check(settings, settings_file=settings_file, offline=False)}
    assert NEW in found["the chats"].trouble
    telegram.actions.clear()
    found = {each.subject: each for each in check(settings, settings_file=settings_file, offline=True)}
    assert (found["the chats"].trouble, found["the chats"].remark) == ("", "not asked for, as --offline wants it")
    assert telegram.actions == []


def test_where_there_is_no_such_chat_nobody_is_asked(settings_with: Load) -> None:
    assert check_chats(settings_with()) == "none to ask for"
