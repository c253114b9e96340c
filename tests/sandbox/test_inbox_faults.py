"""The inbox on a bad day: the faults that it can be made to have, and the limits of the real services."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nightdesk.cli.main import app
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings
from typer.testing import CliRunner

from tests.sandbox.conftest import WAIT_SECONDS

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "discord": ("/api/webhooks/1/t", {"content": "hello"}),
    "slack": ("/services/T1/B1/t", {"text": "hello"}),
    "telegram": ("/bot1:t/sendMessage", {"chat_id": -5, "text": "hello"}),
    "webhook": ("/webhook/ops", {"title": "hello"}),
}
Answer = tuple[int, str, dict[str, str]]


async def send(inbox: InboxHandle, http: aiohttp.ClientSession, channel: str) -> Answer:
    path, body = CALLS[channel]
    async with http.post(inbox.url + path, json=body) as answer:
        return answer.status, await answer.text(), {name.title(): value for name, value in answer.headers.items()}


async def start(inbox: InboxHandle, http: aiohttp.ClientSession, **fault: Any) -> dict[str, Any]:
    async with http.post(f"{inbox.url}/sandbox/fault", json={"seconds": 60, **fault}) as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status == 200, body
        return body


@pytest.mark.parametrize(
    ("channel", "text", "retry_after"),
    [
        ("discord", '{"message": "You are being rate limited.", "retry_after": 0.3, "global": false}', "1"),
        ("slack", "rate_limited", "1"),
        (
            "telegram",
            '{"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 1", '
            '"parameters": {"retry_after": 1}}',
            "1",
        ),
        ("webhook", "Too Many Requests", "1"),
    ],
)
async def test_each_service_says_in_its_own_words_that_it_was_too_much(
    channel: str, text: str, retry_after: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="rate_limit", retry_after_seconds=0.3)
    status, body, headers = await send(inbox, http, channel)
    assert (status, body, headers["Retry-After"]) == (429, text, retry_after)
    limits = {name: value for name, value in headers.items() if name.startswith("X-Ratelimit")}
    if channel == "discord":
        reset = float(limits.pop("X-Ratelimit-Reset"))
        assert abs(reset - time.time() - 0.3) < 1
        assert len(limits.pop("X-Ratelimit-Bucket")) == 8
        assert limits == {
            "X-Ratelimit-Limit": "1",
            "X-Ratelimit-Remaining": "0",
            "X-Ratelimit-Reset-After": "0.300",
            "X-Ratelimit-Scope": "user",
        }
    assert inbox.inbox.find() == []


async def test_by_default_senders_are_told_to_wait_for_the_faults_end(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="rate_limit", seconds=20)
    _, _, headers = await send(inbox, http, "slack")
    assert headers["Retry-After"] == "20"


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ("discord", "Internal Server Error"),
        ("slack", "rollup_error"),
        ("telegram", '{"ok": false, "error_code": 500, "description": "Internal Server Error"}'),
        ("webhook", "Internal Server Error"),
    ],
)
async def test_each_service_can_be_broken(
    channel: str, text: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="error500", channel=channel)
    assert (await send(inbox, http, channel))[:2] == (500, text)
    await start(inbox, http, name="error500", channel=channel, status=503)
    assert (await send(inbox, http, channel))[0] == 503


@pytest.mark.parametrize(
    ("channel", "reason", "status", "text"),
    [
        ("discord", "unknown_webhook", 404, '{"message": "Unknown Webhook", "code": 10015}'),
        ("slack", "channel_is_archived", 410, "channel_is_archived"),
        ("slack", "action_prohibited", 403, "action_prohibited"),
        (
            "telegram",
            "bot_kicked",
            403,
            '{"ok": false, "error_code": 403, "description": "Forbidden: bot was kicked from the group chat"}',
        ),
        ("webhook", "gone", 410, "Gone"),
    ],
)
async def test_a_service_can_refuse_for_good(
    channel: str, reason: str, status: int, text: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="refuse", channel=channel, reason=reason)
    assert (await send(inbox, http, channel))[:2] == (status, text)


async def test_a_fault_of_one_channel_leaves_the_others_alone(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    await start(inbox, http, name="error500", channel="slack")
    assert [(await send(inbox, http, channel))[0] for channel in CALLS] == [204, 500, 200, 200]


async def test_a_fault_ends_after_so_many_messages_or_so_much_time(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="error500", count=2)
    assert [(await send(inbox, http, "slack"))[0] for _ in range(3)] == [500, 500, 200]
    await start(inbox, http, name="error500", seconds=0.2)
    assert (await send(inbox, http, "slack"))[0] == 500
    async with asyncio.timeout(WAIT_SECONDS):
        while inbox.faults.remaining_seconds():
            await asyncio.sleep(0.02)
    assert (await send(inbox, http, "slack"))[0] == 200


@pytest.mark.parametrize("taken", [False, True])
async def test_silence_ends_without_an_answer(taken: bool, inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    await start(inbox, http, name="silence", channel="discord", seconds=0.3, taken=taken)
    began = time.monotonic()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(inbox, http, "discord")
    assert time.monotonic() - began >= 0.2
    assert len(inbox.inbox.find()) == taken


async def test_slowness_delays_what_another_fault_answers(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    await start(inbox, http, name="error500")
    await start(inbox, http, name="slow", delay_seconds=0.3)
    began = time.monotonic()
    assert (await send(inbox, http, "webhook"))[0] == 500
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("count", [1, None])
async def test_clearing_lets_go_of_whoever_waits(
    count: int | None, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="slow", delay_seconds=600, count=count)
    sending = asyncio.create_task(send(inbox, http, "discord"))
    done, _ = await asyncio.wait([sending], timeout=0.2)
    assert not done
    await http.delete(f"{inbox.url}/sandbox/fault")
    assert (await sending)[0] == 204
    assert inbox.faults.remaining_seconds() == {}


async def test_whoever_waits_does_not_keep_the_inbox_from_closing(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        async with serve_inbox(SandboxSettings(), home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as inbox:
            await start(inbox, http, name="silence", seconds=3600)
            sending = asyncio.create_task(send(inbox, http, "discord"))
            polling = asyncio.create_task(http.get(f"{inbox.url}/api/messages?wait=60"))
            await asyncio.wait([sending, polling], timeout=0.2)
            closed_at = time.monotonic()
        assert time.monotonic() - closed_at < 1.5
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await sending
        assert (await (await polling).json())["messages"] == []


async def test_the_status_lists_faults_and_only_those_of_a_channel_can_be_ended(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await start(inbox, http, name="slow")
    status = await start(inbox, http, name="rate_limit", channel="discord", seconds=9)
    assert list(status["faults"]) == ["slow:any", "rate_limit:discord"]
    assert 8 < status["faults"]["rate_limit:discord"] <= 9
    assert (status["messages"], status["last_id"]) == (0, 0)
    async with http.delete(f"{inbox.url}/sandbox/fault?channel=discord") as answer:
        assert list((await answer.json())["faults"]) == ["slow:any"]
    async with http.delete(f"{inbox.url}/sandbox/fault") as answer:
        assert (await answer.json())["faults"] == {}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", "body: is not JSON"),
        ('{"seconds": 1}', "name: Unable to extract tag using discriminator 'name'"),
        ('{"name": "drop", "seconds": 1}', "'rate_limit', 'error500', 'silence', 'slow', 'refuse'"),
        ('{"name": "slow"}', "seconds: Field required"),
        ('{"name": "slow", "seconds": 0}', "seconds: Input should be greater than 0"),
        ('{"name": "slow", "seconds": 1, "channel": "pager"}', "channel: Input should be 'discord', 'healthchecks'"),
        ('{"name": "slow", "seconds": 1, "status": 500}', "status: Extra inputs are not permitted"),
        ('{"name": "refuse", "seconds": 1, "reason": "x"}', "channel: Field required"),
        (
            '{"name": "refuse", "seconds": 1, "channel": "email", "reason": "x"}',
            "reason: email has policy, mailbox_unavailable, sender_rejected, storage",
        ),
    ],
)
async def test_a_fault_that_there_is_not_is_named(
    body: str, problem: str, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{inbox.url}/sandbox/fault", data=body) as answer:
        assert answer.status == 400
        assert problem in (await answer.json())["error"]
    assert inbox.faults.remaining_seconds() == {}


async def test_the_command_line_switches_the_inboxs_faults(inbox: InboxHandle, tmp_path: Path) -> None:
    settings = tmp_path / "nightdesk.yml"
    settings.write_text(f"home: {tmp_path}\nstack: {{ports: {{inbox: {inbox.url.rpartition(':')[2]}}}}}\n")

    async def run(*words: str) -> str:
        command = ["--settings", str(settings), "sandbox", "fault", *words]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
        return result.output

    started = await run("rate_limit", "--channel", "discord", "--seconds", "30", "--with", "retry_after_seconds=0.5")
    assert started == "active: rate_limit:discord for 30 s\n"
    await run("slow", "--channel", "any")
    assert await run("clear", "--channel", "discord") == "active: slow:any for 10 s\n"
    assert await run("clear", "--channel", "any") == "active: none\n"
