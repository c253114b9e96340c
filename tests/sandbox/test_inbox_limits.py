"""The inbox with the limits of the real services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from nightdesk_sandbox.inbox.limits import MessageLimits
from nightdesk_sandbox.inbox.services.discord import Discord
from nightdesk_sandbox.inbox.services.webhook import Webhook
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

from tests.sandbox.test_inbox_faults import send


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[InboxHandle]:
    settings = SandboxSettings.model_validate({"inbox": {"real_limits": True}})
    async with serve_inbox(settings, home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as handle:
        yield handle


async def test_a_webhook_takes_five_messages_in_two_seconds(limited: InboxHandle, http: aiohttp.ClientSession) -> None:
    answers = [await send(limited, http, "discord") for _ in range(6)]
    assert [status for status, _, _ in answers] == [204] * 5 + [429]
    assert [headers["X-Ratelimit-Remaining"] for _, _, headers in answers] == ["4", "3", "2", "1", "0", "0"]
    assert 1 <= float(answers[-1][2]["X-Ratelimit-Reset-After"]) <= 2
    assert answers[-1][2]["Retry-After"] == "2"
    async with http.post(f"{limited.url}/api/webhooks/2/t", json={"content": "another webhook"}) as answer:
        assert answer.status == 204


@pytest.mark.parametrize(("channel", "most"), [("slack", 10), ("telegram", 20), ("webhook", 40)])
async def test_the_others_have_limits_of_their_own_or_none(
    channel: str, most: int, limited: InboxHandle, http: aiohttp.ClientSession
) -> None:
    statuses = [(await send(limited, http, channel))[0] for _ in range(most)]
    assert set(statuses) == {200}
    assert (await send(limited, http, channel))[0] == (200 if channel == "webhook" else 429)


def test_limits_are_counted_over_their_own_time() -> None:
    now = 100.0
    limits = MessageLimits(clock=lambda: now)
    for second in range(0, 58, 2):
        now = 100.0 + second
        found = limits.count("discord", "1", Discord.allowances)
        assert (found and found.wait_seconds) == 0
    assert (found and (found.limit, found.left)) == (5, 4)
    now = 158.0
    assert (thirtieth := limits.count("discord", "1", Discord.allowances)) is not None
    assert thirtieth.wait_seconds == 0
    now = 159.5
    assert (refused := limits.count("discord", "1", Discord.allowances)) is not None
    assert (refused.limit, refused.left, refused.wait_seconds) == (30, 0, 0.5)
    now = 160.1
    assert (later := limits.count("discord", "1", Discord.allowances)) is not None
    assert later.wait_seconds == 0
    assert limits.count("webhook", "1", Webhook.allowances) is None
