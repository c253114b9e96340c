"""The inbox takes on a service by its module alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from nightdesk_sandbox.inbox import services
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

MODULE = """
from aiohttp import web

from nightdesk_sandbox.inbox.limits import Allowance
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service


class Pager(Service):
    channel = "pager"
    title = "Pager"
    allowances = (Allowance(2, 60),)
    refusals = {"no_battery": Refusal(410, "no battery")}

    def endpoints(self):
        return [Endpoint("POST", "/pager", self.take)]

    async def take(self, request):
        self.count("belt")
        words = await request.text()
        self.inbox.add(self.channel, title=words, text=words, raw=words)
        return web.Response(text="beep")

    def refused(self, refusal):
        return web.Response(status=refusal.status, text=refusal.text)

    def rate_limited(self, standing, *, path):
        return web.Response(status=429)


SERVICE = Pager
"""


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[None]:
    """Have one more service, in a folder that is looked into beside the others'."""
    (tmp_path / "pager.py").write_text(MODULE)
    services.__path__.append(str(tmp_path))
    services.known_services.cache_clear()
    yield
    services.__path__.remove(str(tmp_path))
    services.known_services.cache_clear()
    del sys.modules["nightdesk_sandbox.inbox.services.pager"]


def test_a_service_is_in_the_module_of_its_name() -> None:
    names = [service.channel for service in services.known_services()]
    assert names == ["discord", "healthchecks", "slack", "telegram", "uptime_kuma", "webhook"]
    assert [service.__module__.rpartition(".")[2] for service in services.known_services()] == names


@pytest.mark.usefixtures("pager")
async def test_a_fifth_service_takes_shows_limits_and_refuses(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    settings = SandboxSettings.model_validate({"inbox": {"real_limits": True}})
    async with serve_inbox(settings, home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as inbox:
        statuses = []
        for _ in range(3):
            async with http.post(f"{inbox.url}/pager", data="call <home>") as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 429]
        assert [message.text for message in inbox.inbox.find(channel="pager")] == ["call <home>"] * 2
        async with http.get(f"{inbox.url}/?channel=pager") as answer:
            page = await answer.text()
        assert "Pager" in page
        assert "call &lt;home&gt;" in page
        fault = {"name": "refuse", "channel": "pager", "seconds": 60, "reason": "no_battery"}
        async with http.post(f"{inbox.url}/sandbox/fault", json=fault) as answer:
            assert answer.status == 200, await answer.text()
        async with http.post(f"{inbox.url}/pager", data="x") as answer:
            assert (answer.status, await answer.text()) == (410, "no battery")


@pytest.mark.parametrize("path", ["/api/webhooks/1/x", "/services/T00000000/B00000000/x", "/bot1:x/sendMessage"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"{}"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\r\n--x--\r\n',
        ),
        ("multipart/form-data", b"--x"),
        ("application/x-www-form-urlencoded", b"text=\xff&payload=\xff"),
        ("application/x-www-form-urlencoded; charset=nope", b"text=a"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"text=abc"),
        ("application/x-www-form-urlencoded; charset=utf-7", b"chat_id=1&text=+2AA-"),
    ],
)
async def test_a_form_that_cannot_be_read_is_no_error_of_the_inbox(
    path: str, kind: str, body: bytes, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{inbox.url}{path}", data=body, headers={"Content-Type": kind}) as answer:
        assert answer.status < 500
