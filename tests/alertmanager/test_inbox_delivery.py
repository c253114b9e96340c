"""A real Alertmanager writes to the inbox by every channel, and comes again where the inbox fails."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_sandbox.inbox.certificate import CERTIFICATE_FILE
from nightdesk_sandbox.inbox.faults import parse_fault
from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

from tests.alertmanager.test_delivery import alert, free_port, post, until_ready

pytestmark = pytest.mark.servers

WAIT_SECONDS = 15.0
CHANNELS = ("discord", "slack", "telegram", "webhook", "email")


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[InboxHandle]:
    """An inbox that takes mail only over TLS and from one sender."""
    strict = {"smtp_username": "alerts", "smtp_password": "right", "smtp_require_tls": True}
    settings = SandboxSettings.model_validate({"inbox": strict})
    async with serve_inbox(settings, home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as handle:
        yield handle


def receivers(inbox: InboxHandle, *, password: str = "right") -> dict[str, dict[str, Any]]:
    """Return each channel's configuration, with Alertmanager's own templates."""
    return {
        "discord": {"discord_configs": [{"webhook_url": f"{inbox.url}/api/webhooks/1/secret"}]},
        "slack": {
            "slack_configs": [
                {
                    "api_url": f"{inbox.url}/services/T0/B0/token",
                    "channel": "#alerts",
                    "send_resolved": True,
                    "fields": [{"title": "bot", "value": "{{ .CommonLabels.bot }}", "short": True}],
                }
            ]
        },
        "telegram": {
            "telegram_configs": [
                {"api_url": inbox.url, "bot_token": "123:secret", "chat_id": -100500, "parse_mode": "HTML"}
            ]
        },
        "webhook": {"webhook_configs": [{"url": f"{inbox.url}/webhook/ops"}]},
        "email": {
            "email_configs": [
                {
                    "to": "person@example.org",
                    "from": "alerts@example.org",
                    "smarthost": f"127.0.0.1:{inbox.smtp_port}",
                    "auth_username": "alerts",
                    "auth_password": password,
                    "require_tls": True,
                    "tls_config": {"ca_file": str(inbox.folder / CERTIFICATE_FILE)},
                }
            ]
        },
    }


@contextmanager
def running(tools: Tools, folder: Path, configurations: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Start Alertmanager with these receivers, each of which gets every alert, and yield its address."""
    config = {
        "route": {
            "receiver": "none",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
            "routes": [{"receiver": name, "continue": True} for name in configurations],
        },
        "receivers": [{"name": "none"}, *({"name": name, **each} for name, each in configurations.items())],
    }
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    port = free_port()
    command = [str(tools.alertmanager), f"--config.file={file}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=debug"]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)


async def arrived(inbox: InboxHandle, *, channel: str, count: int = 1) -> list[Message]:
    """Wait until so many messages have come by a channel."""
    async with asyncio.timeout(WAIT_SECONDS):
        while len(found := inbox.inbox.find(channel=channel)) < count:
            await inbox.inbox.changed.wait(1)
    return found


def log_of(folder: Path) -> str:
    return (folder / "alertmanager.log").read_text()


async def test_what_alertmanager_sends_arrives_by_every_channel(
    tools: Tools, inbox: InboxHandle, tmp_path: Path
) -> None:
    with running(tools, tmp_path, receivers(inbox)) as url:
        await until_ready(url)
        await post(url, [alert("TradebotDown", "critical", "btc")])
        found = {channel: (await arrived(inbox, channel=channel))[0] for channel in CHANNELS}
        ended = alert("TradebotDown", "critical", "btc") | {"endsAt": datetime.now(UTC).isoformat()}
        await post(url, [ended | {"startsAt": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}])
        resolved = {channel: await arrived(inbox, channel=channel, count=2) for channel in ("slack", "webhook")}

    for channel, message in found.items():
        assert (message.alertname, message.status) == ("TradebotDown", "firing"), channel
    assert found["slack"].to == "#alerts"
    assert "bot: btc" in found["slack"].text
    assert found["telegram"].to == "chat -100500"
    assert found["webhook"].to == "ops"
    assert (found["webhook"].severity, found["webhook"].bot) == ("critical", "btc")
    assert "5 < 6" in found["webhook"].text
    assert found["email"].html is not None
    assert "5 &lt; 6" in found["email"].html
    assert not any("secret" in message.model_dump_json() for message in inbox.inbox.find())
    assert {channel: messages[-1].status for channel, messages in resolved.items()} == dict.fromkeys(
        ("slack", "webhook"), "resolved"
    )
    assert "level=ERROR" not in log_of(tmp_path)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            {"name": "error500", "count": 2},
            (
                "unexpected status code 500: rollup_error",
                "telegram: Internal Server Error (500)",
                "unexpected status code 500: Internal Server Error",
                "421 4.3.0 Service not available",
            ),
        ),
        (
            {"name": "rate_limit", "retry_after_seconds": 1, "count": 1},
            (
                "unexpected status code 429: rate_limited",
                "telegram: retry after 1 (429)",
                "unexpected status code 429: Too Many Requests",
                "451 4.7.1 Too many messages, try again in 1 seconds",
            ),
        ),
    ],
)
async def test_alertmanager_comes_again_where_the_inbox_fails(
    fault: dict[str, Any], said: tuple[str, ...], tools: Tools, inbox: InboxHandle, tmp_path: Path
) -> None:
    with running(tools, tmp_path, receivers(inbox)) as url:
        await until_ready(url)
        for channel in CHANNELS:
            inbox.faults.start(parse_fault(json.dumps({**fault, "channel": channel, "seconds": 60}).encode()))
        await post(url, [alert("TradebotDown", "critical", "btc")])
        for channel in CHANNELS:
            await arrived(inbox, channel=channel)

    assert inbox.faults.remaining_seconds() == {}
    assert {channel: len(inbox.inbox.find(channel=channel)) for channel in CHANNELS} == dict.fromkeys(CHANNELS, 1)
    log = log_of(tmp_path)
    assert [words for words in said if words not in log] == []


async def test_alertmanager_with_the_wrong_password_is_turned_away(
    tools: Tools, inbox: InboxHandle, tmp_path: Path
) -> None:
    wrong = {"email": receivers(inbox, password="wrong")["email"]}
    with running(tools, tmp_path, wrong) as url:
        await until_ready(url)
        await post(url, [alert("TradebotDown", "critical", "btc")])
        async with asyncio.timeout(WAIT_SECONDS):
            while "535 5.7.8" not in log_of(tmp_path):
                await asyncio.sleep(0.05)
    assert inbox.inbox.find() == []
