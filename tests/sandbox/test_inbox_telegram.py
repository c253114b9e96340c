"""The inbox as Telegram's Bot API: its answers, its refusals, and the markup that it takes."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.inbox.telegram_markup import Entity, Formatted, MarkupError
from nightdesk_sandbox.inbox.telegram_message import formatted
from nightdesk_sandbox.server import InboxHandle

BOT = "/bot123:AAsecret"
CHAT = -100500


async def call(inbox: InboxHandle, http: aiohttp.ClientSession, method: str, **more: Any) -> tuple[int, dict[str, Any]]:
    async with http.post(f"{inbox.url}{BOT}/{method}", **more) as answer:
        body: dict[str, Any] = await answer.json()
        return answer.status, body


async def test_a_message_is_taken_and_answered_as_it_was_understood(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    text = '📉 <b>[FIRING:1] ModelStale</b> (btc warning)\n<a href="https://example.org">5 &lt; 6</a>'
    body = {"chat_id": CHAT, "text": text, "parse_mode": "HTML", "disable_notification": True}
    status, answer = await call(inbox, http, "sendMessage", json=body)
    result = answer.pop("result")
    date = result.pop("date")
    assert (status, answer, date > 1_600_000_000) == (200, {"ok": True}, True)
    assert result == {
        "message_id": 1,
        "from": {"id": 123, "is_bot": True, "first_name": "Nightdesk", "username": "nightdesk_sandbox_bot"},
        "chat": {"id": CHAT, "type": "supergroup", "title": "Alerts"},
        "text": "📉 [FIRING:1] ModelStale (btc warning)\n5 < 6",
        "entities": [
            {"offset": 3, "length": 21, "type": "bold"},
            {"offset": 39, "length": 5, "type": "text_link", "url": "https://example.org"},
        ],
    }
    [message] = inbox.inbox.find(channel="telegram")
    assert (message.title, message.to) == ("📉 [FIRING:1] ModelStale (btc warning)", f"chat {CHAT}")
    assert (message.alertname, message.severity, message.status) == ("ModelStale", "warning", "firing")
    assert "secret" not in message.model_dump_json()


@pytest.mark.parametrize(
    ("chat", "shown"),
    [
        ("42", {"id": 42, "type": "private", "first_name": "You"}),
        ("-42", {"id": -42, "type": "group", "title": "Alerts"}),
        ("@alerts", {"id": -1001, "type": "channel", "title": "alerts", "username": "alerts"}),
    ],
)
async def test_a_form_will_do_and_any_chat(
    chat: str, shown: dict[str, Any], inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    status, answer = await call(inbox, http, "sendmessage", data={"chat_id": chat, "text": "hello"})
    assert (status, answer["result"]["chat"]) == (200, shown)
    assert "entities" not in answer["result"]


async def test_a_bot_learns_who_it_is(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{inbox.url}{BOT}/getMe") as answer:
        assert (await answer.json())["result"]["id"] == 123


@pytest.mark.parametrize("token", ["123", "abc:secret", "0123:secret", ":secret", "123:"])
async def test_a_malformed_token_is_unauthorized(token: str, inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{inbox.url}/bot{token}/getMe") as answer:
        assert (answer.status, await answer.json()) == (
            401,
            {"ok": False, "error_code": 401, "description": "Unauthorized: invalid token specified"},
        )


async def test_a_method_that_there_is_not_is_not_found(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    refused = {"ok": False, "error_code": 404, "description": "Not Found"}
    assert await call(inbox, http, "sendMessages", json={}) == (404, refused)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": 0, "text": "x"}, "chat not found"),
        ({"chat_id": "alerts", "text": "x"}, "chat not found"),
        ({"chat_id": CHAT}, "message text is empty"),
        ({"chat_id": CHAT, "text": " \n"}, "message text is empty"),
        ({"chat_id": CHAT, "text": "<b> </b>", "parse_mode": "HTML"}, "message text is empty"),
        ({"chat_id": CHAT, "text": "x" * 4097}, "message is too long"),
        ({"chat_id": CHAT, "text": "📉" * 2049}, "message is too long"),
        ({"chat_id": CHAT, "text": "x", "parse_mode": "RST"}, "unsupported parse_mode"),
        (
            {"chat_id": CHAT, "text": "5 < 6", "parse_mode": "HTML"},
            'can\'t parse entities: Unsupported start tag "" at byte offset 2',
        ),
        ({"chat_id": CHAT, "text": "*" * 4097, "parse_mode": "MarkdownV2"}, "message is too long"),
    ],
)
async def test_what_telegram_would_not_take_is_refused_in_its_words(
    body: dict[str, Any], reason: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    refused = {"ok": False, "error_code": 400, "description": f"Bad Request: {reason}"}
    assert await call(inbox, http, "sendMessage", json=body) == (400, refused)
    assert inbox.inbox.find() == []


@pytest.mark.parametrize(("body", "reason"), [("{", "can't parse JSON object"), ("[]", "JSON object expected")])
async def test_what_is_not_json_is_refused(
    body: str, reason: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    headers = {"Content-Type": "application/json"}
    status, answer = await call(inbox, http, "sendMessage", data=body, headers=headers)
    assert (status, answer["description"]) == (400, f"Bad Request: {reason}")


async def test_the_length_counts_without_the_markup(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    body = {"chat_id": CHAT, "text": f"<b>{'&amp;' * 4096}</b>", "parse_mode": "HTML"}
    assert (await call(inbox, http, "sendMessage", json=body))[0] == 200


@pytest.mark.parametrize(
    ("text", "mode", "read"),
    [
        ("a &quot;b&quot; &nbsp; &#169;", "HTML", Formatted('a "b" &nbsp; ©')),
        (
            "<b>x<i>y</i></b>",
            "html",
            Formatted("xy", (Entity("bold", 0, 2), Entity("italic", 1, 2))),
        ),
        (
            '<pre><code class="language-py">x</code></pre>',
            "HTML",
            Formatted("x", (Entity("pre", 0, 1), Entity("code", 0, 1, "py"))),
        ),
        ('<span class="tg-spoiler">x</span>', "HTML", Formatted("x", (Entity("spoiler", 0, 1),))),
        ("as *it* is <b>", "", Formatted("as *it* is <b>")),
    ],
)
def test_markup_is_read(text: str, mode: str, read: Formatted) -> None:
    assert formatted(text, mode) == read


@pytest.mark.parametrize("mode", ["Markdown", "MarkdownV2", "markdownv2"])
async def test_markdown_is_taken_and_answered_as_it_came(
    mode: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    text = r"*\[FIRING:1\]* <b>a\_b</b> [l](https://x.org) `1.5"
    body = {"chat_id": CHAT, "text": text, "parse_mode": mode}
    status, answer = await call(inbox, http, "sendMessage", json=body)
    assert (status, answer["result"]["text"]) == (200, text)
    assert "entities" not in answer["result"]
    assert [message.text for message in inbox.inbox.find(channel="telegram")] == [text]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<div>x</div>", 'Unsupported start tag "div" at byte offset 0'),
        ("ü<br>", 'Unsupported start tag "br" at byte offset 2'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_html_that_cannot_be_read_is_named(text: str, reason: str) -> None:
    with pytest.raises(MarkupError) as raised:
        formatted(text, "HTML")
    assert str(raised.value) == reason


@pytest.mark.parametrize(("chat", "status"), [("-500", 200), ("", 400), ("nowhere", 400)])
async def test_that_the_bot_types_is_taken_where_a_message_would_be_and_is_none(
    chat: str, status: int, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{inbox.url}{BOT}/sendChatAction", json={"chat_id": chat, "action": "typing"}) as answer:
        assert answer.status == status
        assert (await answer.json()).get("result") == (True if status == 200 else None)
    assert inbox.inbox.find() == []
