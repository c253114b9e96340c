"""The inbox's JSON interface, as tests and scripts use it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.server import InboxHandle


async def ask(inbox: InboxHandle, http: aiohttp.ClientSession, **query: Any) -> dict[str, Any]:
    async with http.get(f"{inbox.url}/api/messages", params=query) as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status == 200, body
        return body


@pytest.fixture
def filled(inbox: InboxHandle) -> InboxHandle:
    for number, (channel, title) in enumerate(
        [
            ("discord", "CRITICAL: BotDown (btc)"),
            ("slack", "[RESOLVED] BotDown (warning)"),
            ("telegram", "Warning: ModelStale (eth)"),
            ("email", "Weekly report"),
        ]
    ):
        inbox.inbox.add(channel, title=title, text=f"text {number}", raw={})
    return inbox


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"channel": "slack"}, [2]),
        ({"severity": "warning"}, [2, 3]),
        ({"severity": "warning", "status": "firing"}, [3]),
        ({"status": "resolved"}, [2]),
        ({"bot": "btc"}, [1]),
        ({"contains": "TEXT 3"}, [4]),
        ({"since_id": 2}, [3, 4]),
        ({"since_id": 2, "channel": "discord"}, []),
        ({"channel": "pager"}, []),
    ],
)
async def test_messages_are_narrowed(
    query: dict[str, Any], ids: list[int], filled: InboxHandle, http: aiohttp.ClientSession
) -> None:
    found = await ask(filled, http, **query)
    assert ([message["id"] for message in found["messages"]], found["last_id"]) == (ids, 4)


async def test_one_message_is_asked_for_by_its_id(filled: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{filled.url}/api/messages/3") as answer:
        assert (await answer.json())["title"] == "Warning: ModelStale (eth)"
    async with http.get(f"{filled.url}/api/messages/5") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "there is no such message"})


async def test_who_waits_is_answered_as_soon_as_the_message_comes(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    waiting = asyncio.create_task(ask(inbox, http, wait=5, contains="second"))
    inbox.inbox.add("discord", title="first", text="", raw={})
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    began = time.monotonic()
    inbox.inbox.add("discord", title="second", text="", raw={})
    assert [message["title"] for message in (await waiting)["messages"]] == ["second"]
    assert time.monotonic() - began < 1


async def test_waiting_ends_with_nothing(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    assert (await ask(inbox, http, wait=0.05))["messages"] == []


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", "61", "inf"])
async def test_a_wait_that_is_none_is_named(wait: str, inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{inbox.url}/api/messages", params={"wait": wait}) as answer:
        error = {"error": "wait must be a number of seconds, at most 60"}
        assert (answer.status, await answer.json()) == (400, error)


async def test_the_inbox_says_that_it_is_up(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{inbox.url}/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
