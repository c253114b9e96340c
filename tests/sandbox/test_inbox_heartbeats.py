"""The inbox as healthchecks.io and as Uptime Kuma: what they take, and what they refuse."""

from __future__ import annotations

import aiohttp
import pytest
from nightdesk_sandbox.server import InboxHandle

UUID = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
KEY = "fqOOd6-F4MMNuCEnzTU01w"
TOKEN = "Ab3dE6gH1j"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("path", "title"),
    [
        (UUID, "success"),
        (f"{UUID}/start", "start"),
        (f"{UUID}/fail", "fail"),
        (f"{UUID}/log", "log"),
        (f"{UUID}/0", "success"),
        (f"{UUID}/3", "exit status 3"),
        (f"{KEY}/my-bot", "success"),
        (f"{KEY}/my-bot/fail?rid={UUID}", "fail"),
    ],
)
async def test_healthchecks_takes_pings(
    inbox: InboxHandle, http: aiohttp.ClientSession, method: str, path: str, title: str
) -> None:
    async with http.request(method, f"{inbox.url}/ping/{path}") as answer:
        assert answer.status == 200
        assert method == "HEAD" or await answer.text() == "OK"
    [message] = inbox.inbox.find(channel="healthchecks")
    assert message.title == title
    assert UUID not in message.to
    assert KEY not in message.to


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "abc", 400, "invalid url format"),
        ("GET", f"{UUID}/failed", 400, "invalid url format"),
        ("GET", f"{UUID}/256", 400, "invalid url format"),
        ("GET", f"{UUID}/", 400, "invalid url format"),
        ("GET", f"{KEY}/My Bot", 400, "invalid url format"),
        ("GET", f"{UUID.replace('-', '')}", 400, "invalid url format"),
        ("GET", f"{UUID}?rid=7", 400, "invalid uuid format"),
        ("PUT", UUID, 405, ""),
        ("DELETE", f"{UUID}/fail", 405, ""),
    ],
)
async def test_healthchecks_refuses_what_is_no_ping(
    inbox: InboxHandle, http: aiohttp.ClientSession, method: str, path: str, status: int, words: str
) -> None:
    async with http.request(method, f"{inbox.url}/ping/{path}") as answer:
        assert (answer.status, await answer.text()) == (status, words)
    assert inbox.inbox.find() == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(
    ("query", "title", "text"),
    [
        ("", "up", "OK"),
        ("?status=up&msg=OK&ping=", "up", "OK"),
        ("?status=down&msg=broken&ping=42", "down", "broken"),
        ("?status=UP", "down", "OK"),
        ("?ping=odd", "up", "OK"),
    ],
)
async def test_uptime_kuma_takes_pushes(
    inbox: InboxHandle, http: aiohttp.ClientSession, method: str, query: str, title: str, text: str
) -> None:
    async with http.request(method, f"{inbox.url}/api/push/{TOKEN}{query}") as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True})
    [message] = inbox.inbox.find(channel="uptime_kuma")
    assert (message.title, message.text) == (title, text)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("short", "Monitor not found or not active."),
        (f"{TOKEN}-_", "Monitor not found or not active."),
        (f"{TOKEN}?ping=-1", "Invalid ping value. Must be between 0 and 100000000000 ms."),
        (f"{TOKEN}?ping=1e12", "Invalid ping value. Must be between 0 and 100000000000 ms."),
        (f"{TOKEN}?ping=nan", "Invalid ping value. Must be between 0 and 100000000000 ms."),
    ],
)
async def test_uptime_kuma_refuses_what_is_no_push(
    inbox: InboxHandle, http: aiohttp.ClientSession, path: str, words: str
) -> None:
    async with http.get(f"{inbox.url}/api/push/{path}") as answer:
        assert (answer.status, await answer.json()) == (404, {"ok": False, "msg": words})
    assert inbox.inbox.find() == []
