"""What Telegram answers, and what becomes of the message: a stand-in that answers as the Bot API does."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from nightdesk import settings as settings_module
from nightdesk.channels import channels
from nightdesk.stack.tools import Tools
from nightdesk_alerts import Alerting
from nightdesk_alerts.moved_chats import FILE_NAME, MovedChats
from nightdesk_sandbox.inbox.telegram_message import formatted

from tests.alertmanager.test_templates import alert as template_alert
from tests.alertmanager.test_templates import rendered
from tests.alerts.conftest import PAUSED, TOKEN, Counts, StartSender, until

OLD, NEW, NEWEST = "-500", "-1001234567890", "-1009876543210"
Answer = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


def error(status: int, description: str, **parameters: Any) -> tuple[int, dict[str, Any]]:
    """Return an answer of the Bot API."""
    body = {"ok": False, "error_code": status, "description": description}
    return status, {**body, **({"parameters": parameters} if parameters else {})}


def upgraded(to: object) -> tuple[int, dict[str, Any]]:
    """Return what Telegram says of a group that has become a supergroup."""
    said = "Bad Request: group chat was upgraded to a supergroup chat"
    return error(400, said, migrate_to_chat_id=to)


class BotApi:
    """Answers as `answer` says, which is given what was sent, and keeps what it took of `sendMessage`.

    Whoever is refused `sendMessage` is refused `sendChatAction` in the same words: Telegram looks for the chat first.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.answer: Answer = lambda _sent: (200, {"ok": True, "result": {}})
        self.asked: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.actions: list[dict[str, Any]] = []

    def handle(self, method: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a message, or that the bot types."""
        if method == "sendChatAction":
            self.actions.append(sent)
            return self.answer(sent)
        assert method == "sendMessage"
        self.asked.append(sent)
        status, body = self.answer(sent)
        if status == 200:
            self.taken.append(sent)
        return status, body

    def alerting(self) -> Alerting:
        """Return where a sender finds it."""
        return Alerting(telegram_bot_token=f"123:{TOKEN}", telegram_chat_id=OLD, telegram_api_url=self.url)


@contextmanager
def bot_api() -> Iterator[BotApi]:
    """Serve a stand-in of Telegram for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = api.handle(self.path.rpartition("/")[2], sent)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = BotApi(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield api
        server.shutdown()
        thread.join()


@pytest.fixture
def telegram() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


def test_a_group_that_became_a_supergroup_is_followed_told_of_and_remembered(
    telegram: BotApi, start: StartSender, counts: Counts, logged: list[tuple[str, str]], tmp_path: Path
) -> None:
    telegram.answer = lambda sent: upgraded(int(NEW)) if sent["chat_id"] == OLD else (200, {"ok": True})
    spool = tmp_path / "alerts.json"
    with start(telegram.alerting(), spool=spool) as sender:
        sender.send_alert("TradebotGuardPaused", **PAUSED)
        until(lambda: telegram.taken, "the message at the new number")
        sender.send_alert("TradebotX", **PAUSED)
        until(lambda: len(telegram.taken) == 2, "the second message")
    assert [sent["chat_id"] for sent in telegram.asked] == [OLD, NEW, NEW]
    assert counts["alerts_dropped refused"] == 0
    (said,) = [text for level, text in logged if level == "ERROR"]
    assert f"the Telegram chat {OLD} has become {NEW}: set telegram_chat_id to that" in said
    assert TOKEN not in said
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    # After a restart nobody asks at the old number, and one more move is followed from there.
    telegram.asked.clear()
    telegram.answer = lambda sent: upgraded(int(NEWEST)) if sent["chat_id"] == NEW else (200, {"ok": True})
    start(telegram.alerting(), spool=spool).send_alert("TradebotY", **PAUSED)
    until(lambda: len(telegram.taken) == 3, "the message after the restart")
    assert [sent["chat_id"] for sent in telegram.asked] == [NEW, NEWEST]
    assert MovedChats(tmp_path / FILE_NAME).now_at(OLD) == NEWEST


def test_alertmanager_is_rendered_with_the_new_number_and_so_is_the_job_s_channel(tmp_path: Path) -> None:
    file = tmp_path / "nightdesk.yml"
    file.write_text(f"home: .\noperations: {{alerts: {{telegram_bot_token: '1:x', telegram_chat_id: {OLD}}}}}\n")
    settings = settings_module.load(file)
    assert channels(settings).alerting.channels[0].receiver_values()["chat_id"] == int(OLD)
    MovedChats(settings.path(settings.bot.state_dir) / FILE_NAME).remember(OLD, NEW)
    assert channels(settings).alerting.channels[0].receiver_values()["chat_id"] == int(NEW)


@pytest.mark.parametrize(
    "answer",
    [
        upgraded("https://host/"),
        upgraded(None),
        upgraded([1]),
        upgraded(5),
        upgraded(int(OLD)),
        upgraded("-1" * 40),
        error(401, "Unauthorized"),
        error(403, "Forbidden: bot was kicked from the supergroup chat"),
        error(400, "Bad Request: message is too long"),
        error(400, "Bad Request: chat not found"),
        (400, {"parameters": [1]}),
    ],
    ids=str,
)
def test_what_is_no_move_is_a_refusal_that_is_told_and_counted_once(
    answer: tuple[int, dict[str, Any]],
    telegram: BotApi,
    start: StartSender,
    counts: Counts,
    logged: list[tuple[str, str]],
) -> None:
    telegram.answer = lambda _sent: answer
    start(telegram.alerting()).send_alert("TradebotX", **PAUSED)
    counts.reach("alerts_dropped refused", 1)
    assert len(telegram.asked) == 1
    (said,) = [text for level, text in logged if level == "ERROR"]
    assert f"telegram refuses TradebotX for good: HTTP {answer[0]}" in said
    assert str(answer[1].get("description", "")) in said


def test_two_moves_at_once_are_no_loop(telegram: BotApi, start: StartSender, counts: Counts) -> None:
    telegram.answer = lambda sent: upgraded(int(OLD if sent["chat_id"] == NEW else NEW))
    start(telegram.alerting()).send_alert("TradebotX", **PAUSED)
    until(lambda: len(telegram.asked) >= 2, "both numbers to be asked")
    assert counts["alerts_dropped refused"] == 0
    assert len(telegram.asked) <= 4


def test_too_many_requests_wait_as_long_as_telegram_says(telegram: BotApi, start: StartSender, counts: Counts) -> None:
    telegram.answer = lambda _sent: error(429, "Too Many Requests: retry after 1", retry_after=1)
    start(telegram.alerting()).send_alert("TradebotX", **PAUSED)
    until(lambda: telegram.asked, "the first attempt")
    telegram.answer = lambda _sent: (200, {"ok": True})
    until(lambda: telegram.taken, "the second")
    assert len(telegram.asked) == 2
    assert counts["alerts_dropped refused"] == 0


def test_markup_that_telegram_cannot_read_goes_out_without_it(telegram: BotApi, start: StartSender) -> None:
    def answer(sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "parse_mode" in sent:
            return error(400, "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"")
        return 200, {"ok": True}

    telegram.answer = answer
    start(telegram.alerting()).send_alert("TradebotGuardPaused", **PAUSED)
    until(lambda: telegram.taken, "the message without markup")
    assert telegram.taken[0]["text"].startswith("CRITICAL: TradebotGuardPaused (btc)\n")
    assert "5 < 6 & so on" in telegram.taken[0]["text"]
    assert len(telegram.asked) == 2


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"-500": 5}', b'{"-500": "x"}', b'{"x": "-1"}', b"\xff", b"{}"])
def test_a_file_of_moves_that_is_damaged_says_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    moved = MovedChats(tmp_path / FILE_NAME)
    assert moved.now_at(OLD) == OLD
    moved.remember(OLD, NEW)
    assert moved.now_at(OLD) == MovedChats(tmp_path / FILE_NAME).now_at(OLD) == NEW


def test_of_moves_to_and_fro_the_last_one_holds(tmp_path: Path) -> None:
    moved = MovedChats(tmp_path / FILE_NAME)
    for old, new in ((OLD, NEW), (NEW, NEWEST), (NEWEST, NEW), (NEW, OLD)):
        moved.remember(old, new)
        for chat in (old, new):
            assert moved.now_at(chat) == MovedChats(tmp_path / FILE_NAME).now_at(chat) == new


def test_moves_that_the_disk_does_not_take_are_kept_in_memory(tmp_path: Path, logged: list[tuple[str, str]]) -> None:
    (tmp_path / "file").touch()
    moved = MovedChats(tmp_path / "file" / FILE_NAME)
    moved.remember(OLD, NEW)
    assert moved.now_at(OLD) == NEW
    assert "cannot be written" in logged[0][1]


class Tags(HTMLParser):
    """Raises where a tag is not closed in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


ALPHABETS = ("abc ", "&<>\"'+", "&", "ü€😀", "日本", "it's <b>&amp; ", "+\n\t", "\u202e&")


def test_no_group_of_alerts_is_cut_by_alertmanager_amid_telegram_s_markup(tools: Tools, tmp_path: Path) -> None:
    rng = random.Random(7)

    def words(longest: int) -> str:
        return "".join(rng.choice(rng.choice(ALPHABETS)) for _ in range(longest))

    for alphabet in (*ALPHABETS, ""):
        fleet = []
        for _ in range(rng.choice((5, 6, 30))):
            texts = [alphabet * 300 if alphabet else words(rng.choice((3, 30, 300))) for _ in range(6)]
            one = template_alert(texts[0], description=texts[1], symbol=texts[2], severity=texts[3])
            one["labels"]["alertname"] = texts[4]
            one["annotations"]["summary"] = texts[5]
            fleet.append(one)
        message = rendered(tools, tmp_path, "telegram.message", *fleet, kind="html")
        assert len(message) < 4096, alphabet
        tags = Tags()
        tags.feed(message)
        assert tags.open == []
        assert message.count("<b>") == 6
        formatted(message, "HTML")  # raises where Telegram could not read it
