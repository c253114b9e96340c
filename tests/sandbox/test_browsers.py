"""What pages of other sites get of the sandbox, in the browser of whoever plays: nothing."""

from __future__ import annotations

import aiohttp
import pytest
from nightdesk_sandbox.server import InboxHandle

from tests.sandbox.conftest import ServeExchange

FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:8702", "Origin": "http://127.0.0.1.evil.example:8702"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_no_page_of_another_site_reads_or_writes_messages_or_switches_faults(
    inbox: InboxHandle, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    inbox.inbox.add("discord", title="a message", text="equity 10,000", raw={})
    for path in ("/", "/api/messages", "/api/messages/1"):
        async with http.get(inbox.url + path, headers=headers) as answer:
            assert answer.status in (403, 421)
            assert "10,000" not in await answer.text()
    fault = {"name": "refuse", "channel": "discord", "seconds": 60}
    for path, body in (("/api/webhooks/1/token", {"content": "false"}), ("/webhook/x", {}), ("/sandbox/fault", fault)):
        async with http.post(inbox.url + path, json=body, headers=headers) as answer:
            assert answer.status in (403, 421)
    async with http.get(f"{inbox.url}/api/messages") as answer:
        assert len((await answer.json())["messages"]) == 1


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_no_page_of_another_site_has_the_exchange_fail(
    serve: ServeExchange, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with serve() as handle:
        async with http.post(f"{handle.url}/sandbox/fault", json={"name": "drop"}, headers=headers) as answer:
            assert answer.status in (403, 421)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{handle.websocket_url}/v5/public/linear", headers=headers)


async def test_a_container_s_name_is_no_web_site_s(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{inbox.url}/api/messages", headers={"Host": "sandbox-inbox:8702"}) as answer:
        assert answer.status == 200
