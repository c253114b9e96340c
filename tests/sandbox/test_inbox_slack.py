"""The inbox as Slack: what its webhook takes, what it refuses, and in which words."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.inbox.slack_message import plain
from nightdesk_sandbox.server import InboxHandle

HOOK = "/services/T024BE7LD/B024BE7LE/token"


async def test_an_attachment_is_taken_and_shown_with_its_labels(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    attachment = {
        "title": "[FIRING:1] FeedStale (btc critical)",
        "text": "*Silent* for &gt; 3 min, see <https://example.org/runbook|the runbook>",
        "fields": [{"title": "bot", "value": "btc", "short": True}],
        "color": "danger",
        "footer": "Nightdesk",
        "mrkdwn_in": ["text"],
    }
    body = {"channel": "#alerts", "username": "Alertmanager", "text": None, "attachments": [attachment]}
    async with http.post(inbox.url + HOOK, json=body) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")
    [message] = inbox.inbox.find(channel="slack")
    assert (message.title, message.to) == ("[FIRING:1] FeedStale (btc critical)", "#alerts")
    assert message.text.splitlines() == [
        "[FIRING:1] FeedStale (btc critical)",
        "*Silent* for > 3 min, see the runbook",
        "bot: btc",
        "Nightdesk",
    ]
    assert (message.alertname, message.severity, message.status, message.bot) == (
        *("FeedStale", "critical", "firing"),
        "btc",
    )
    assert message.raw == body


async def test_blocks_are_read_in_place_of_the_text(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    rich = {"type": "rich_text_section", "elements": [{"type": "text", "text": "step "}, {"type": "text", "text": "1"}]}
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Bot down"}},
        {"type": "divider"},
        {"type": "section", "text": {"type": "mrkdwn", "text": "It is *down*"}, "fields": [{"text": "bot: btc"}]},
        {"type": "rich_text", "elements": [rich]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "by Nightdesk"}]},
    ]
    async with http.post(inbox.url + HOOK, json={"text": "only for notifications", "blocks": blocks}) as answer:
        assert await answer.text() == "ok"
    [message] = inbox.inbox.find()
    assert (message.title, message.to) == ("Bot down", "B024BE7LE")
    assert message.text.splitlines() == ["Bot down", "It is *down*", "bot: btc", "step 1", "by Nightdesk"]


async def test_a_form_carries_its_message_as_payload(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.post(inbox.url + HOOK, data={"payload": json.dumps({"text": "größer"})}) as answer:
        assert await answer.text() == "ok"
    assert inbox.inbox.find()[0].text == "größer"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("{", "invalid_payload"),
        ("[]", "invalid_payload"),
        ('{"text": NaN}', "invalid_payload"),
        ({"text": 5}, "invalid_payload"),
        ({"text": "x", "attachments": "none"}, "invalid_payload"),
        ({}, "no_text"),
        ({"text": " ", "attachments": []}, "no_text"),
        ({"attachments": [{"color": "good"}]}, "missing_text_or_fallback_or_attachments"),
        ({"text": "x", "attachments": [{"text": "y"}] * 101}, "too_many_attachments"),
        ({"text": "x", "blocks": {}}, "invalid_blocks_format"),
        ({"blocks": [{"type": "sectoin", "text": {"text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"text": "x" * 3001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    ],
)
async def test_what_slack_would_not_take_is_refused_in_its_word(
    body: dict[str, Any] | str, word: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    data = body if isinstance(body, str) else json.dumps(body)
    async with http.post(inbox.url + HOOK, data=data, headers={"Content-Type": "application/json"}) as answer:
        assert (answer.status, await answer.text()) == (400, word)
    assert inbox.inbox.find() == []


@pytest.mark.parametrize("attachments", [[{"text": "x"}] * 100, [{"fallback": "x"}], [{"fields": [{"value": "x"}]}]])
async def test_what_is_within_the_limits_is_taken(
    attachments: list[Any], inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(inbox.url + HOOK, json={"attachments": attachments}) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")


@pytest.mark.parametrize(
    ("path", "word"),
    [("/services/x/B1/t", "no_team"), ("/services/T1/x/t", "no_service"), ("/services/T1/B1", "no_service")],
)
async def test_an_address_that_is_no_webhook_is_not_found(
    path: str, word: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(inbox.url + path, json={"text": "x"}) as answer:
        assert (answer.status, await answer.text()) == (404, word)


async def test_a_form_without_a_payload_is_refused(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.post(inbox.url + HOOK, data={"text": "x"}) as answer:
        assert (answer.status, await answer.text()) == (400, "invalid_payload")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<https://a.org|A> and <https://b.org>", "A and https://b.org"),
        ("<!here> <@U1|ada> <mailto:a@b.org>", "here ada a@b.org"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
    ],
)
def test_references_are_read_as_their_labels(text: str, read: str) -> None:
    assert plain(text) == read
