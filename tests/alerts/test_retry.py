"""What a channel cannot take now is tried again when it asks for it; what it never takes is dropped and said once."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from nightdesk_alerts import Alerting

from tests.alerts.conftest import (
    CHANNELS,
    PAUSED,
    Counts,
    ServedInbox,
    StartSender,
    all_channels,
    only,
    until,
)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_server_error_is_tried_again_until_it_works(
    channel: str, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    inbox.fault("error500", channel, count=1)
    start(only(inbox, channel)).send_alert("X", **PAUSED)
    assert len(inbox.arrived(channel)) == 1
    until(lambda: counts["alerts_sent direct"] == 1, "it to be counted")
    counts.reach("alerts_retried", 1)


@pytest.mark.parametrize("channel", ["discord", "slack", "telegram", "webhook"])
def test_a_channel_that_says_when_to_come_back_is_left_alone_until_then(
    channel: str, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    inbox.fault("rate_limit", channel, count=1, retry_after_seconds=1.6)
    began = time.monotonic()
    start(only(inbox, channel)).send_alert("X", **PAUSED)
    inbox.arrived(channel)
    # Discord's body is exact; the others' headers and bodies have whole seconds.
    assert time.monotonic() - began >= (1.6 if channel == "discord" else 2.0)
    counts.reach("alerts_retried", 1)


@pytest.mark.parametrize(
    ("channel", "reason", "said"),
    [
        ("discord", "unknown_webhook", "discord refuses X for good: HTTP 404, Unknown Webhook"),
        ("slack", "channel_is_archived", "slack refuses X for good: HTTP 410, channel_is_archived"),
        (
            "telegram",
            "bot_kicked",
            "telegram refuses X for good: HTTP 403, Forbidden: bot was kicked from the group chat",
        ),
        ("webhook", "gone", "webhook refuses X for good: HTTP 410"),
        ("email", "mailbox_unavailable", "mail refuses X for good: SMTP 550, SMTPSenderRefused"),
    ],
)
def test_a_refusal_is_final_and_is_logged_once(
    channel: str,
    reason: str,
    said: str,
    inbox: ServedInbox,
    start: StartSender,
    counts: Counts,
    logged: list[tuple[str, str]],
) -> None:
    inbox.fault("refuse", channel, reason=reason)
    sender = start(only(inbox, channel))
    for name in ("X", "Y", "Z"):
        sender.send_alert(name, **PAUSED)
    until(lambda: counts["alerts_dropped refused"] == 3, "three refusals")
    assert [text.split(" - ")[1].strip() for level, text in logged if level == "ERROR"] == [f"alerts: {said}"]
    assert counts["alerts_retried"] == 0
    inbox.clear()
    sender.send_alert("V", **PAUSED)
    assert inbox.arrived(channel)[0].alertname == "V"


def test_a_channel_that_never_answers_delays_no_other(inbox: ServedInbox, start: StartSender, counts: Counts) -> None:
    inbox.fault("silence", "telegram")
    inbox.fault("silence", "email")
    began = time.monotonic()
    start(all_channels(inbox), timeout_seconds=5).send_alert("X", **PAUSED)
    for channel in ("discord", "slack", "webhook"):
        inbox.arrived(channel)
    assert time.monotonic() - began < 3
    inbox.clear()


def test_a_silent_server_is_given_up_in_time_and_tried_again(start: StartSender, counts: Counts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        alerting = Alerting(discord_webhook_url=f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        start(alerting, timeout_seconds=0.2).send_alert("X", **PAUSED)
        until(lambda: counts["alerts_retried"] >= 1, "a second attempt")


def test_a_redirect_leads_nowhere(
    inbox: ServedInbox, start: StartSender, counts: Counts, logged: list[tuple[str, str]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        start(Alerting(webhook_url=f"http://127.0.0.1:{server.getsockname()[1]}/x")).send_alert("X", **PAUSED)
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            target = f"{inbox.url}/webhook/elsewhere"
            connection.sendall(f"HTTP/1.1 307 X\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
            until(lambda: counts["alerts_dropped refused"] == 1, "the refusal")
    assert inbox.find() == []


@pytest.mark.parametrize(
    "url", ["discord.example/x", "ftp://host/s3cret", "https://[s3cret", "http://", "http://ho st/x"]
)
def test_a_malformed_address_is_said_without_repeating_it(
    url: str, start: StartSender, counts: Counts, logged: list[tuple[str, str]]
) -> None:
    start(Alerting(discord_webhook_url=url)).send_alert("X", **PAUSED)
    until(lambda: any(level in ("ERROR", "WARNING") for level, _ in logged), "it to be said")
    assert "s3cret" not in "".join(text for _, text in logged)
    assert counts["alerts_dropped refused"] == 1 or url == "http://ho st/x"


def test_the_gravest_goes_first_where_many_wait(inbox: ServedInbox, start: StartSender, tmp_path: Path) -> None:
    inbox.fault("rate_limit", "discord", count=1, retry_after_seconds=0.5)
    sender = start(only(inbox, "discord"))
    sender.send_alert("First", severity="info", summary="s.")
    until(lambda: inbox.find() == [], "nothing")
    for severity in ("info", "warning", "critical"):
        sender.send_alert(f"Is{severity}", severity=severity, summary="s.")
    found = [message.alertname for message in inbox.arrived("discord", 4)]
    assert found[:2] == ["Iscritical", "Iswarning"]
