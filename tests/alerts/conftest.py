"""The sandbox's inbox on a thread of its own, senders that write to it, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from nightdesk_alerts import Alerting, AlertSender, Mail
from nightdesk_sandbox.inbox.faults import parse_fault
from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

WAIT_SECONDS = 10.0
CHANNELS = ("discord", "slack", "telegram", "webhook", "email")
TOKEN = "s3cr3t-token"
PAUSED: dict[str, Any] = {
    "severity": "critical",
    "summary": "The performance guard has paused trading.",
    "description": "Bot btc opens no position; 5 < 6 & so on.",
}


def until(condition: Callable[[], Any], what: str, *, seconds: float = WAIT_SECONDS) -> Any:
    """Return what the condition returns as soon as that is true; fail naming `what` once the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}")
        time.sleep(0.005)
    return found


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServedInbox:
    """A running inbox, for tests that do not run in its event loop."""

    def __init__(self, handle: InboxHandle, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = handle
        self._loop = loop
        self.url = handle.url
        self.smtp_port = handle.smtp_port

    def find(self, channel: str = "") -> list[Message]:
        """Return the messages of a channel, oldest first."""
        return self._handle.inbox.find(channel=channel)

    def fault(self, name: str, channel: str = "any", *, seconds: float = 60, **parameters: Any) -> None:
        """Have a fault from now on."""
        body = json.dumps({"name": name, "channel": channel, "seconds": seconds, **parameters}).encode()
        self._call(lambda: self._handle.faults.start(parse_fault(body)))

    def clear(self) -> None:
        """End all faults."""
        self._call(self._handle.faults.clear)

    def arrived(self, channel: str, count: int = 1) -> list[Message]:
        """Wait until so many messages have come by a channel."""
        until(lambda: len(self.find(channel)) >= count, f"{count} messages by {channel}")
        return self.find(channel)

    def _call(self, what: Callable[[], Any]) -> None:
        async def call() -> None:
            what()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(WAIT_SECONDS)


async def _let_go() -> None:
    """Let connections that were told to close do so: each takes a turn or two of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def serving_inbox(home: Path, *, port: int = 0, smtp_port: int = 0, **settings: Any) -> Iterator[ServedInbox]:
    """Serve an inbox from a thread for the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="inbox")
    thread.start()
    server = serve_inbox(
        SandboxSettings.model_validate({"inbox": settings}), home=home, host="127.0.0.1", port=port, smtp_port=smtp_port
    )
    try:
        handle = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(WAIT_SECONDS)
        try:
            yield ServedInbox(handle, loop)
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(WAIT_SECONDS)
            asyncio.run_coroutine_threadsafe(_let_go(), loop).result(WAIT_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_SECONDS)
        # A sender may connect just while the server closes: only the collector ends that connection.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            loop.close()
            gc.collect()


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[ServedInbox]:
    with serving_inbox(tmp_path / "inbox") as served:
        yield served


def _keywords(inbox: ServedInbox) -> dict[str, dict[str, Any]]:
    """Return the keywords of `Alerting` for each direct channel, all of which are the inbox's."""
    return {
        "discord": {"discord_webhook_url": f"{inbox.url}/api/webhooks/1/{TOKEN}"},
        "slack": {"slack_webhook_url": f"{inbox.url}/services/T0/B0/{TOKEN}"},
        "telegram": {
            "telegram_bot_token": f"123:{TOKEN}",
            "telegram_chat_id": "-100500",
            "telegram_api_url": inbox.url,
        },
        "webhook": {"webhook_url": f"{inbox.url}/webhook/{TOKEN}"},
        "email": {
            "mail": Mail(server="127.0.0.1", port=inbox.smtp_port, recipients=("you@example.org",), require_tls=False)
        },
    }


def all_channels(inbox: ServedInbox, **changes: Any) -> Alerting:
    """Return an `Alerting` with every direct channel."""
    fields = {name: value for keywords in _keywords(inbox).values() for name, value in keywords.items()}
    return Alerting(**{**fields, **changes})


def only(inbox: ServedInbox, channel: str, **changes: Any) -> Alerting:
    """Return an `Alerting` with one direct channel."""
    return Alerting(**{**_keywords(inbox)[channel], **changes})


class Counts:
    """Counts what a sender says that it did."""

    def __init__(self) -> None:
        self.all: Counter[tuple[str, ...]] = Counter()

    def __call__(self, name: str, *labels: str) -> None:
        self.all[name, *labels] += 1

    def __getitem__(self, key: str) -> int:
        """Return a count by name and label, as in `counts["alerts_sent direct"]`."""
        return self.all[tuple(key.split())]

    def reach(self, key: str, number: int) -> None:
        """Wait until something was counted so often, which follows what it counts by a moment, and no oftener."""
        until(lambda: self[key] >= number, f"{key} to be counted {number} times")
        assert self[key] == number


@pytest.fixture
def counts() -> Counts:
    return Counts()


StartSender = Callable[..., AlertSender]


@pytest.fixture
def start(counts: Counts) -> Iterator[StartSender]:
    """Start senders that end with the test, with shorter waits than people's."""
    with ExitStack() as stack:

        def begin(alerting: Alerting, **changes: Any) -> AlertSender:
            shorter = {"fallback_seconds": 0.3, "settle_seconds": 0.3, "timeout_seconds": 2.0, "close_seconds": 1.0}
            sender = AlertSender("btc", alerting=alerting, **{"count": counts, **shorter, **changes})
            return stack.enter_context(sender)

        yield begin


@pytest.fixture
def logged() -> Iterator[list[tuple[str, str]]]:
    """Return what is logged from now on: level and whole text, exceptions included."""
    caught: list[tuple[str, str]] = []
    sink = logger.add(
        lambda message: caught.append((message.record["level"].name, str(message))), level=0, diagnose=True
    )
    yield caught
    logger.remove(sink)
