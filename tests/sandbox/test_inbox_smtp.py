"""The inbox as a mail server: TLS, logins, limits and refusals, as a mail client meets them."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.settings import SettingsError
from nightdesk_sandbox.errors import SandboxError
from nightdesk_sandbox.inbox.certificate import CERTIFICATE_FILE, tls_context
from nightdesk_sandbox.inbox.faults import AnyFault, parse_fault
from nightdesk_sandbox.inbox.settings import InboxSettings
from nightdesk_sandbox.inbox.smtp import LARGEST_MAIL_BYTES
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings
from pydantic import ValidationError

from tests.sandbox.conftest import WAIT_SECONDS

SENDER, RECIPIENTS, MAIL = "a@example.org", ["b@example.org"], b"Subject: hello\r\n\r\nwords\r\n"
LOGIN = {"smtp_username": "alerts", "smtp_password": "right"}


def serve(home: Path, **settings: Any) -> AbstractAsyncContextManager[InboxHandle]:
    found = SandboxSettings.model_validate({"inbox": settings})
    return serve_inbox(found, home=home, host="127.0.0.1", port=0, smtp_port=0)


async def talk(inbox: InboxHandle, use: Callable[[smtplib.SMTP], Any], *, timeout: float = WAIT_SECONDS) -> Any:
    """Connect a mail client and use it, in a thread."""

    def connected() -> Any:
        with smtplib.SMTP("127.0.0.1", inbox.smtp_port, timeout=timeout) as client:
            client.ehlo("test")
            return use(client)

    return await asyncio.to_thread(connected)


def send(client: smtplib.SMTP) -> None:
    client.sendmail(SENDER, RECIPIENTS, MAIL)


def fault(body: str) -> AnyFault:
    return parse_fault(body.encode())


async def test_mail_goes_over_tls_that_the_certificate_in_the_folder_proves(inbox: InboxHandle) -> None:
    trusting = ssl.create_default_context(cafile=str(inbox.folder / CERTIFICATE_FILE))

    def encrypted(client: smtplib.SMTP) -> str:
        client.starttls(context=trusting)
        client.login("anyone", "anything")
        send(client)
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.version() or ""

    assert await talk(inbox, encrypted) in ("TLSv1.2", "TLSv1.3")
    assert [message.title for message in inbox.inbox.find(channel="email")] == ["hello"]


async def test_a_client_that_does_not_trust_the_certificate_goes_away(inbox: InboxHandle) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await talk(inbox, lambda client: client.starttls(context=ssl.create_default_context()))
    await talk(inbox, send)


def test_a_certificate_is_kept_and_a_damaged_one_made_anew(tmp_path: Path) -> None:
    tls_context(tmp_path)
    file, key = tmp_path / CERTIFICATE_FILE, tmp_path / "inbox-key.pem"
    first = file.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    tls_context(tmp_path)
    assert file.read_bytes() == first
    key.write_text("damaged")
    tls_context(tmp_path)
    second = file.read_bytes()
    assert second != first
    file.write_text("damaged")
    tls_context(tmp_path)
    assert file.read_bytes() not in (first, second, b"damaged")


def test_a_certificate_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SandboxError, match=rf"file/{CERTIFICATE_FILE} cannot be written \("):
        tls_context(tmp_path / "file")


@pytest.mark.parametrize("mechanism", ["plain", "login"])
async def test_only_the_right_login_may_send(mechanism: str, tmp_path: Path) -> None:
    def login(client: smtplib.SMTP, password: str) -> tuple[int, bytes]:
        client.user, client.password = "alerts", password
        return client.auth(mechanism, getattr(client, f"auth_{mechanism}"))

    def allowed(client: smtplib.SMTP) -> None:
        login(client, "right")
        send(client)

    async with serve(tmp_path, **LOGIN) as inbox:
        with pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
            await talk(inbox, lambda client: login(client, "wrong"))
        with pytest.raises(smtplib.SMTPSenderRefused) as nobody:
            await talk(inbox, send)
        await talk(inbox, allowed)
        assert len(inbox.inbox.find()) == 1
    assert (wrong.value.smtp_code, wrong.value.smtp_error) == (535, b"5.7.8 Authentication credentials invalid")
    assert (nobody.value.smtp_code, nobody.value.smtp_error) == (530, b"5.7.0 Authentication required")


async def test_a_name_that_is_not_ascii_is_only_a_wrong_one(tmp_path: Path) -> None:
    async with serve(tmp_path, **LOGIN) as inbox:
        code, _ = await talk(inbox, lambda client: client.docmd("AUTH PLAIN", "AMO8w7wAcmlnaHQ="))
    assert code == 535


async def test_where_tls_is_required_nothing_goes_before_it(tmp_path: Path) -> None:
    def late(client: smtplib.SMTP) -> list[str]:
        before = client.esmtp_features.get("auth", "")
        client.starttls(context=ssl._create_unverified_context())
        client.ehlo("test")
        send(client)
        return [before, client.esmtp_features["auth"]]

    async with serve(tmp_path, smtp_require_tls=True) as inbox:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            await talk(inbox, send)
        assert [offer.split() for offer in await talk(inbox, late)] == [[], ["LOGIN", "PLAIN"]]
        assert len(inbox.inbox.find()) == 1
    assert refused.value.smtp_code == 530


async def test_the_password_can_lie_in_a_file_in_home(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("right\n")
    secret = Path("password")
    async with serve(tmp_path, smtp_username="alerts", smtp_password_file=secret) as inbox:
        assert (await talk(inbox, lambda client: client.login("alerts", "right")))[0] == 235
    (tmp_path / secret).unlink()
    with pytest.raises(SettingsError, match=r"sandbox\.inbox\.smtp_password_file"):
        async with serve(tmp_path, smtp_username="alerts", smtp_password_file=secret):
            pass


@pytest.mark.parametrize("half", [{"smtp_username": "alerts"}, {"smtp_password": "right"}])
def test_half_a_login_is_no_setting(half: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="go together") as raised:
        InboxSettings.model_validate(half)
    assert "right" not in str(raised.value)


async def test_a_mail_that_is_too_large_is_refused_before_and_after_it_is_sent(inbox: InboxHandle) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * (LARGEST_MAIL_BYTES // 72 + 1)

    def unannounced(client: smtplib.SMTP) -> int:
        client.docmd("MAIL", f"FROM:<{SENDER}>")
        client.docmd("RCPT", f"TO:<{RECIPIENTS[0]}>")
        return client.data(large)[0]

    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        await talk(inbox, lambda client: client.sendmail(SENDER, RECIPIENTS, large))
    assert refused.value.smtp_code == 552
    assert await talk(inbox, unannounced) == 552
    assert inbox.inbox.find() == []


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (
            '{"name": "rate_limit", "seconds": 60, "retry_after_seconds": 30}',
            451,
            "4.7.1 Too many messages, try again in 30 seconds",
        ),
        (
            '{"name": "error500", "seconds": 60}',
            421,
            "4.3.0 Service not available, closing transmission channel",
        ),
        (
            '{"name": "refuse", "channel": "email", "reason": "mailbox_unavailable", "seconds": 60}',
            550,
            "5.1.1 Mailbox unavailable",
        ),
    ],
)
async def test_a_fault_refuses_the_sender(body: str, code: int, words: str, inbox: InboxHandle) -> None:
    inbox.faults.start(fault(body))
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        await talk(inbox, send)
    assert (refused.value.smtp_code, refused.value.smtp_error) == (code, words.encode())
    inbox.faults.clear()
    await talk(inbox, send)
    assert len(inbox.inbox.find()) == 1


async def test_a_broken_server_hangs_up(inbox: InboxHandle) -> None:
    def go_on(client: smtplib.SMTP) -> None:
        assert client.docmd("MAIL", f"FROM:<{SENDER}>")[0] == 421
        client.noop()

    inbox.faults.start(fault('{"name": "error500", "seconds": 60}'))
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await talk(inbox, go_on)


@pytest.mark.parametrize("taken", [False, True])
async def test_a_silent_server_says_nothing_and_hangs_up_in_the_end(taken: bool, inbox: InboxHandle) -> None:
    inbox.faults.start(fault(f'{{"name": "silence", "seconds": 0.4, "taken": {str(taken).lower()}}}'))
    began = time.monotonic()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await talk(inbox, send)
    assert time.monotonic() - began >= 0.3
    assert len(inbox.inbox.find()) == taken


async def test_a_slow_server_answers_late(inbox: InboxHandle) -> None:
    inbox.faults.start(fault('{"name": "slow", "seconds": 60, "delay_seconds": 0.3}'))
    began = time.monotonic()
    await talk(inbox, send)
    assert time.monotonic() - began >= 0.3
    assert len(inbox.inbox.find()) == 1


async def test_a_silent_session_does_not_keep_the_inbox_from_closing(tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        async with serve(tmp_path) as inbox:
            inbox.faults.start(fault('{"name": "silence", "seconds": 3600, "count": 1}'))
            sending = asyncio.create_task(talk(inbox, send, timeout=60))
            while inbox.faults.remaining_seconds():
                await inbox.inbox.changed.wait(1)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            await sending
