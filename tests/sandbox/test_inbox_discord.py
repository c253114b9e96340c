"""The inbox as Discord: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nightdesk_core.clock import system_clock
from nightdesk_core.files.json_text import DEEPEST
from nightdesk_sandbox.inbox import KEPT, Inbox
from nightdesk_sandbox.inbox.labels import labels_in
from nightdesk_sandbox.server import InboxHandle

HOOK = "/api/webhooks/123/token"


def embed(**changes: Any) -> dict[str, Any]:
    return {"embeds": [{"title": "[FIRING:1] KillSwitchActive (btc critical)", **changes}]}


async def messages(http: aiohttp.ClientSession, inbox: InboxHandle, **query: Any) -> list[dict[str, Any]]:
    async with http.get(f"{inbox.url}/api/messages", params=query) as answer:
        assert answer.status == 200
        found: list[dict[str, Any]] = (await answer.json())["messages"]
        return found


async def test_an_alert_is_taken_and_shown_with_its_labels(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    body = embed(
        description="The daily loss is 6.1%.",
        color=0xFF0000,
        fields=[{"name": "bot", "value": "btc", "inline": True}],
        footer={"text": "Nightdesk"},
    )
    async with http.post(inbox.url + HOOK, json={"content": "@here", **body}) as answer:
        assert (answer.status, await answer.read()) == (204, b"")
    [message] = await messages(http, inbox)
    received_at = message.pop("received_at")
    assert len(received_at) == len("2026-01-01T00:00:00Z")
    assert message == {
        "id": 1,
        "channel": "discord",
        "title": "[FIRING:1] KillSwitchActive (btc critical)",
        "text": "@here\n[FIRING:1] KillSwitchActive (btc critical)\nThe daily loss is 6.1%.\nbot: btc\nNightdesk",
        "alertname": "KillSwitchActive",
        "severity": "critical",
        "status": "firing",
        "bot": "btc",
        "to": "webhook 123",
        "html": None,
        "raw": {"content": "@here", **body},
    }


async def test_who_waits_gets_the_message(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{inbox.url}{HOOK}?wait=true", json={"content": "hello"}) as answer:
        assert answer.status == 200
        body = await answer.json()
    assert (body["id"], body["webhook_id"], body["content"], body["embeds"]) == ("1", "123", "hello", [])


async def test_a_form_with_a_file_carries_its_message_as_payload_json(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    form = aiohttp.FormData()
    form.add_field("payload_json", '{"content": "see the report"}')
    form.add_field("file", b"a,b", filename="report.csv")
    async with http.post(inbox.url + HOOK, data=form) as answer:
        assert answer.status == 204
    assert (await messages(http, inbox))[0]["text"] == "see the report"


FIELD = {"name": "n", "value": "v"}


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x" * 2000},
        {"content": "x", "embeds": [{"title": "x"}] * 10},
        embed(title="x" * 256),
        embed(description="x" * 4096),
        embed(fields=[FIELD] * 25),
        embed(fields=[{"name": "n" * 256, "value": "v" * 1024}]),
        embed(footer={"text": "x" * 2048}),
        embed(author={"name": "x" * 256}),
        {"embeds": [{"description": "x" * 3000}] * 2},
        embed(url="https://example.org/runbook"),
        embed(anything="that Discord does not know"),
        {"embeds": [{"image": {"url": "https://example.org/chart.png"}}]},
        {"content": "x", "username": "Nightdesk", "tts": False},
    ],
)
async def test_what_is_within_the_limits_is_taken(
    body: dict[str, Any], inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(inbox.url + HOOK, json=body) as answer:
        assert answer.status == 204, await answer.text()


def too_long(limit: int) -> dict[str, Any]:
    return {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": f"Must be {limit} or fewer in length."}]}


MISSING = {"_errors": [{"code": "BASE_TYPE_REQUIRED", "message": "This field is required"}]}
BAD_LINK = {"_errors": [{"code": "URL_TYPE_INVALID_URL", "message": "Not a well formed URL."}]}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"content": "x" * 2001}, {"content": too_long(2000)}),
        (embed(title="x" * 257), {"embeds": {"0": {"title": too_long(256)}}}),
        (embed(description="x" * 4097), {"embeds": {"0": {"description": too_long(4096)}}}),
        (embed(footer={"text": "x" * 2049}), {"embeds": {"0": {"footer": {"text": too_long(2048)}}}}),
        (embed(author={"name": "x" * 257}), {"embeds": {"0": {"author": {"name": too_long(256)}}}}),
        (
            embed(fields=[FIELD, {"name": "n" * 257, "value": "v" * 1025}]),
            {"embeds": {"0": {"fields": {"1": {"name": too_long(256), "value": too_long(1024)}}}}},
        ),
        (
            embed(fields=[{"name": "", "value": "v"}, {"name": "n"}]),
            {"embeds": {"0": {"fields": {"0": {"name": MISSING}, "1": {"value": MISSING}}}}},
        ),
        (
            embed(fields=[FIELD] * 26),
            {
                "embeds": {
                    "0": {"fields": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 25 or fewer."}]}}
                }
            },
        ),
        (
            {"content": "x", "embeds": [{"title": "x"}] * 11},
            {"embeds": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 10 or fewer."}]}},
        ),
        (
            {"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]},
            {
                "embeds": {
                    "_errors": [
                        {"code": "MAX_EMBED_SIZE_EXCEEDED", "message": "Embed size exceeds maximum size of 6000"}
                    ]
                }
            },
        ),
        (embed(url="javascript:alert(1)"), {"embeds": {"0": {"url": BAD_LINK}}}),
        (embed(url="runbooks/kill-switch"), {"embeds": {"0": {"url": BAD_LINK}}}),
        ({"content": "x", "avatar_url": "https://a b"}, {"avatar_url": BAD_LINK}),
    ],
)
async def test_what_is_beyond_a_limit_is_refused_with_its_place(
    body: dict[str, Any], errors: dict[str, Any], inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(inbox.url + HOOK, json=body) as answer:
        assert answer.status == 400
        assert await answer.json() == {"message": "Invalid Form Body", "code": 50035, "errors": errors}
    assert await messages(http, inbox) == []


@pytest.mark.parametrize("body", [{}, {"content": ""}, {"content": " \n"}, {"embeds": []}, {"embeds": [{"color": 1}]}])
async def test_an_empty_message_is_refused(
    body: dict[str, Any], inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(inbox.url + HOOK, json=body) as answer:
        assert (answer.status, await answer.json()) == (
            400,
            {"message": "Cannot send an empty message", "code": 50006},
        )


@pytest.mark.parametrize("body", [b"", b"{", b'{"content": NaN}', b'{"content": "\\ud800"}', b"\xff"])
async def test_what_is_not_json_is_refused(body: bytes, inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.post(inbox.url + HOOK, data=body) as answer:
        assert (answer.status, await answer.json()) == (
            400,
            {"message": "The request body contains invalid JSON.", "code": 50109},
        )


async def test_messages_are_found_by_channel_words_and_id_and_forgotten_on_demand(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    for text in ("first", "Second", "third"):
        await http.post(inbox.url + HOOK, json={"content": text})
    assert [found["text"] for found in await messages(http, inbox, since_id=1)] == ["Second", "third"]
    assert [found["text"] for found in await messages(http, inbox, contains="sEcOnD")] == ["Second"]
    assert await messages(http, inbox, channel="email") == []
    assert len(await messages(http, inbox, channel="discord")) == 3
    assert (await http.delete(f"{inbox.url}/api/messages")).status == 204
    assert await messages(http, inbox) == []
    await http.post(inbox.url + HOOK, json={"content": "fourth"})
    assert [found["id"] for found in await messages(http, inbox)] == [4]
    async with http.get(f"{inbox.url}/api/messages?since_id=last") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "since_id must be a whole number"})


def filled(folder: Path, count: int) -> Inbox:
    inbox = Inbox(folder, clock=system_clock)
    for number in range(count):
        inbox.add("discord", title=f"message {number}", text="", raw={})
    return inbox


def test_messages_and_ids_survive_a_restart_and_a_torn_last_line(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    file = tmp_path / "inbox.jsonl"
    file.write_text(file.read_text() + '{"id": 4, "channel": "dis')
    again = Inbox(tmp_path, clock=system_clock)
    assert [message.id for message in again.find()] == [1, 2, 3]
    again.clear()
    assert Inbox(tmp_path, clock=system_clock).add("email", title="", text="", raw={}).id == 4


@pytest.mark.parametrize(
    "body",
    [b'{"text": "a\xe2\x80\xa8b"}', b'{"text": "a\xc2\x85b"}', b"[" * DEEPEST + b"]" * DEEPEST],
    ids=["line", "next", "deep"],
)
async def test_whatever_was_taken_is_there_after_a_restart(
    body: bytes, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{inbox.url}/webhook/any", data=body) as answer:
        assert answer.status == 200
    assert [kept.raw for kept in Inbox(inbox.folder, clock=system_clock).find()] == [json.loads(body)]


def test_only_the_newest_messages_are_kept(tmp_path: Path) -> None:
    inbox = filled(tmp_path, KEPT + 5)
    assert [inbox.find()[0].id, len(inbox.find())] == [6, KEPT]
    again = Inbox(tmp_path, clock=system_clock)
    assert [again.find()[0].id, len(again.find())] == [6, KEPT]
    assert len((tmp_path / "inbox.jsonl").read_text().splitlines()) == KEPT + 1


def test_the_file_has_a_bound_while_it_runs_and_no_id_is_given_twice(tmp_path: Path) -> None:
    inbox = filled(tmp_path, 0)
    longest = 0
    for number in range(3 * KEPT):
        inbox.add("discord", title=f"message {number}", text="", raw={})
        if number % 100 == 0 or number > 2 * KEPT:
            longest = max(longest, len((tmp_path / "inbox.jsonl").read_text().splitlines()))
    assert longest <= 2 * KEPT + 1
    again = Inbox(tmp_path, clock=system_clock)
    assert [again.find()[0].id, again.last_id] == [2 * KEPT + 1, 3 * KEPT]


@pytest.mark.parametrize(
    ("title", "text", "labels"),
    [
        ("[FIRING:2] ModelStale (btc warning)", "", ("ModelStale", "warning", "firing")),
        ("[RESOLVED] BotDown btc", "", ("BotDown", None, "resolved")),
        ("Alert", "Labels:\n - alertname = FeedStale\n - severity = critical\n", ("FeedStale", "critical", None)),
        ("Alert resolved", 'alertname="FeedStale", severity="info"', ("FeedStale", "info", "resolved")),
        ("CRITICAL: TradebotDown (btc)", "What it says.", ("TradebotDown", "critical", "firing")),
        ("Resolved: TradebotDown (btc)", "What it says.", ("TradebotDown", None, "resolved")),
        ("Weekly report", "All was well.", (None, None, None)),
    ],
)
def test_labels_are_read_where_they_are_plain(
    title: str, text: str, labels: tuple[str | None, str | None, str | None]
) -> None:
    found = labels_in(title, text)
    assert (found["alertname"], found["severity"], found["status"]) == labels
