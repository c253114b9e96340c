"""A real Alertmanager with the rendered configuration, and the inbox that it writes to."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from nightdesk.passwords import url_with_login
from nightdesk.render.configuration import render
from nightdesk.settings import Settings
from nightdesk.stack.servers import alertmanager_command
from nightdesk.stack.tools import Tools
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

pytestmark = pytest.mark.servers

CRITICAL, WARNING, INFO = "critical", "warning", "info"


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[InboxHandle]:
    async with serve_inbox(SandboxSettings(), home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as handle:
        yield handle


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_alertmanager(tools: Tools, settings: Settings) -> Iterator[str]:
    rendered = render(settings, out=settings.home / "rendered")
    config = rendered.alertmanager_config
    # Only the waits are shortened further: the routes and what they group stay as they are.
    config.write_text(config.read_text().replace("group_wait: 5s", "group_wait: 1s"))
    with (settings.home / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            alertmanager_command(settings, tools, rendered), stdout=log, stderr=subprocess.STDOUT, cwd=settings.home
        )
        try:
            yield url_with_login(settings, "alertmanager")
        finally:
            process.terminate()
            process.wait(timeout=10)


async def until_ready(url: str) -> None:
    for _ in range(100):
        try:
            answer = await asyncio.to_thread(requests.get, f"{url}/-/ready", timeout=1)
        except requests.ConnectionError:
            await asyncio.sleep(0.05)
            continue
        if answer.ok:
            return
    raise AssertionError("Alertmanager did not become ready")


def alert(alertname: str, severity: str, bot: str, **labels: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": alertname, "severity": severity, "bot": bot, **labels},
        "annotations": {"summary": f"{alertname} of {bot}.", "description": "5 < 6"},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
    }


async def post(url: str, alerts: list[dict[str, Any]]) -> None:
    answer = await asyncio.to_thread(requests.post, f"{url}/api/v2/alerts", json=alerts, timeout=5)
    answer.raise_for_status()


def settings_for(inbox: InboxHandle, home: Path) -> Settings:
    ports = {
        "inbox": int(inbox.url.rsplit(":", 1)[1]),
        "smtp": inbox.smtp_port,
        "alertmanager": free_port(),
    }
    return Settings.model_validate({"home": home, "stack": {"ports": ports}})


async def messages_after(inbox: InboxHandle, channel: str, *, at_least: int, seconds: float) -> list[Any]:
    """Wait until `at_least` messages are there, then a little longer for one that must not come."""
    for _ in range(int(seconds / 0.05)):
        if len(inbox.inbox.find(channel=channel)) >= at_least:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)
    return list(inbox.inbox.find(channel=channel))


async def test_one_fault_is_one_page_on_both_channels(tools: Tools, inbox: InboxHandle, tmp_path: Path) -> None:
    candle = {"symbol": "BTC/USDT", "timeframe": "1h"}
    faults = {
        "gone": [
            alert("TradebotDown", CRITICAL, "gone"),
            alert("TradebotLoopStalled", CRITICAL, "gone"),
            alert("TradebotCandleStale", CRITICAL, "gone", **candle),
            alert("TradebotModelStale", WARNING, "gone"),
            alert("TradebotRetrainMissed", WARNING, "gone"),
            alert("TradebotCrashLooping", CRITICAL, "gone"),
            alert("TradebotUnhealthy", CRITICAL, "gone"),
        ],
        "unwatched": [
            alert("TradebotTargetMissing", CRITICAL, "unwatched"),
            alert("TradebotRetrainMissed", WARNING, "unwatched"),
        ],
        "cut-off": [
            alert("TradebotExchangeDisconnected", CRITICAL, "cut-off"),
            alert("TradebotCandleStale", CRITICAL, "cut-off", **candle),
            alert("TradebotCandleStale", WARNING, "cut-off", **candle),
            alert("TradebotExchangeErrorRatioHigh", WARNING, "cut-off"),
            alert("TradebotWebsocketFlapping", WARNING, "cut-off"),
            alert("TradebotSnapshotStale", WARNING, "cut-off"),
            alert("TradebotUnhealthy", CRITICAL, "cut-off"),
        ],
        "hung": [
            alert("TradebotLoopStalled", CRITICAL, "hung"),
            alert("TradebotExchangeDisconnected", CRITICAL, "hung"),
            alert("TradebotCandleStale", WARNING, "hung", **candle),
            alert("TradebotSnapshotStale", WARNING, "hung"),
            alert("TradebotUnhealthy", CRITICAL, "hung"),
        ],
        "losing": [
            alert("TradebotDrawdownHigh", CRITICAL, "losing"),
            alert("TradebotDrawdownHigh", WARNING, "losing"),
            alert("TradebotUnhealthy", CRITICAL, "losing"),
        ],
        "ailing": [alert("TradebotUnhealthy", CRITICAL, "ailing")],
        "paused": [alert("TradebotGuardPaused", CRITICAL, "paused"), alert("TradebotNoTrades", WARNING, "paused")],
    }
    settings = settings_for(inbox, tmp_path)
    with running_alertmanager(tools, settings) as url:
        await until_ready(url)
        await post(url, [one for alerts in faults.values() for one in alerts])
        discord = await messages_after(inbox, "discord", at_least=len(faults), seconds=10)
        mail = await messages_after(inbox, "email", at_least=len(faults), seconds=10)

    expected = {
        "CRITICAL: TradebotDown (gone)": 1,
        "CRITICAL: TradebotTargetMissing (unwatched)": 1,
        "CRITICAL: TradebotExchangeDisconnected (cut-off)": 1,
        "CRITICAL: TradebotLoopStalled (hung)": 1,
        "CRITICAL: TradebotDrawdownHigh (losing)": 1,
        "CRITICAL: TradebotUnhealthy (ailing)": 1,
        "CRITICAL: TradebotGuardPaused (paused)": 1,
    }
    assert Counter(message.title for message in discord) == expected
    assert Counter(message.title for message in mail) == expected
    assert "<p>5 &lt; 6</p>" in mail[0].html
    assert "5 < 6" in mail[0].text


async def test_a_dead_bot_does_not_hide_the_kill_switch_an_event_or_the_fleet(
    tools: Tools, inbox: InboxHandle, tmp_path: Path
) -> None:
    settings = settings_for(inbox, tmp_path)
    with running_alertmanager(tools, settings) as url:
        await until_ready(url)
        await post(
            url,
            [
                *(alert("TradebotDown", CRITICAL, bot) for bot in ("a", "b", "c")),
                alert("TradebotKillSwitchActive", CRITICAL, "a"),
                alert("TradebotModelPromoted", INFO, "b"),
                alert("TradebotModelStale", WARNING, "d"),
            ],
        )
        discord = await messages_after(inbox, "discord", at_least=4, seconds=10)
        mail = await messages_after(inbox, "email", at_least=2, seconds=10)

    assert Counter(message.title for message in discord) == {
        "CRITICAL: TradebotDown, 3 alerts": 1,
        "CRITICAL: TradebotKillSwitchActive (a)": 1,
        "Info: TradebotModelPromoted (b)": 1,
        "Warning: TradebotModelStale (d)": 1,
    }
    assert {message.title for message in mail} == {
        "CRITICAL: TradebotDown, 3 alerts",
        "CRITICAL: TradebotKillSwitchActive (a)",
    }
