"""Without an Alertmanager, every channel is told directly, in the same words, within each service's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nightdesk_alerts import Alerting, Mail
from nightdesk_sandbox.inbox.certificate import CERTIFICATE_FILE

from tests.alerts.conftest import (
    CHANNELS,
    PAUSED,
    TOKEN,
    Counts,
    ServedInbox,
    StartSender,
    all_channels,
    only,
    serving_inbox,
    until,
)

SYMBOL = "BTC/USDT:USDT"


def test_every_channel_is_told_in_the_same_words(inbox: ServedInbox, start: StartSender, counts: Counts) -> None:
    start(all_channels(inbox)).send_alert("TradebotGuardPaused", **PAUSED, labels={"symbol": SYMBOL})
    found = {channel: inbox.arrived(channel)[0] for channel in CHANNELS}
    for channel, message in found.items():
        assert (message.alertname, message.status, message.bot) == ("TradebotGuardPaused", "firing", "btc"), channel
        for words in (PAUSED["summary"], PAUSED["description"], SYMBOL):
            assert words in message.text, channel
        assert "prometheus/runbooks/TradebotGuardPaused.md" in str(message.raw), channel
    assert {found[channel].title for channel in ("discord", "slack", "telegram", "email")} == {
        "CRITICAL: TradebotGuardPaused (btc)"
    }
    assert found["telegram"].to == "chat -100500"
    assert found["email"].to == "you@example.org"
    until(lambda: counts["alerts_sent direct"] == 5, "five messages counted")
    assert counts["alerts_retried"] == 0
    assert not [key for key in counts.all if key[0] == "alerts_dropped"]


def test_a_withdrawn_alert_is_told_as_resolved_by_those_who_told_it(
    inbox: ServedInbox, start: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightdesk_alerts.delivery.entry._HOLD_SECONDS", 0.1)
    sender = start(all_channels(inbox))
    sender.send_alert("TradebotGuardPaused", **PAUSED)
    for channel in CHANNELS:
        inbox.arrived(channel)
    sender.withdraw("TradebotGuardPaused")
    for channel in CHANNELS:
        last = inbox.arrived(channel, 2)[-1]
        assert (last.alertname, last.status) == ("TradebotGuardPaused", "resolved"), channel


def test_an_event_is_told_once_and_never_as_resolved(
    inbox: ServedInbox, start: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightdesk_alerts.delivery.entry._HOLD_SECONDS", 0.0)
    sender = start(only(inbox, "discord"))
    event: dict[str, Any] = {"severity": "info", "summary": "A model was promoted.", "lasting": False}
    sender.send_alert("TradebotModelPromoted", **event)
    inbox.arrived("discord")
    sender.send_alert("TradebotModelPromoted", **event)
    sender.withdraw("TradebotModelPromoted")
    sender.send_alert("Last", severity="info", summary="Comes last.", lasting=False)
    assert [message.alertname for message in inbox.arrived("discord", 2)] == ["TradebotModelPromoted", "Last"]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "words", ["<b>&amp; </b> <!channel> @everyone *_`~|", "ü" * 900, "😀" * 900, "\x00\x1b\n\r\t\ud800x", "&" * 900]
)
def test_no_words_are_too_long_or_too_odd_for_a_channel(
    channel: str, words: str, inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    sender = start(only(inbox, channel))
    sender.send_alert("TradebotX", severity="odd", summary=words, description=words, labels={"symbol": words})
    inbox.arrived(channel)
    until(lambda: counts["alerts_sent direct"] == 1, "it to be counted")


def test_what_looks_like_markup_is_shown_as_it_is(inbox: ServedInbox, start: StartSender) -> None:
    start(all_channels(inbox)).send_alert("X", severity="warning", summary="1 < 2 & <b>3</b>.", description="<!here>")
    for channel in CHANNELS:
        text = inbox.arrived(channel)[0].text
        assert "1 < 2 & <b>3</b>." in text, channel
        assert "<!here>" in text, channel


def test_mail_goes_over_tls_with_a_login_and_a_certificate_that_is_checked(
    tmp_path: Path, start: StartSender, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict: dict[str, Any] = {"smtp_username": "alerts", "smtp_password": "right", "smtp_require_tls": True}
    with serving_inbox(tmp_path, **strict) as inbox:
        mail = Mail(
            server="127.0.0.1",
            port=inbox.smtp_port,
            recipients=("a@x.org", "b@x.org"),
            username="alerts",
            password="right",
        )
        start(Alerting(mail=mail)).send_alert("X", **PAUSED)
        until(lambda: counts["alerts_retried"] > 0, "the certificate to be refused")
        assert inbox.find() == []
        (certificate,) = tmp_path.rglob(CERTIFICATE_FILE)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert inbox.arrived("email")[0].to == "a@x.org, b@x.org"


def test_a_password_is_not_sent_where_it_could_be_overheard(logged: list[tuple[str, str]]) -> None:
    from nightdesk_alerts.channels.mail import _is_near

    assert [_is_near(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [_is_near(host) for host in ("mail.example", "10.0.0.1", "localhost.example")] == [False] * 3


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_secret_shows_in_no_log_no_repr_and_no_file(
    channel: str,
    tmp_path: Path,
    inbox: ServedInbox,
    start: StartSender,
    counts: Counts,
    logged: list[tuple[str, str]],
) -> None:
    mail = Mail(server="127.0.0.1", port=1, recipients=("a@x.org",), username="u", password=TOKEN)
    alerting = only(inbox, channel) if channel != "email" else only(inbox, channel, mail=mail)
    inbox.fault("error500", channel, count=1)
    sender = start(alerting, spool=tmp_path / "spool.json")
    sender.send_alert("X", **PAUSED)
    until(lambda: counts["alerts_retried"] or counts["alerts_sent direct"], "a second attempt")
    sender.__exit__(None, None, None)
    assert TOKEN not in "".join(text for _, text in logged) + repr(alerting) + repr(sender)
    assert logged
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.glob("*spool*"))
