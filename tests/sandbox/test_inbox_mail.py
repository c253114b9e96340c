"""What the inbox makes of a mail."""

from __future__ import annotations

import asyncio
import random
import smtplib
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import pytest
from nightdesk_core.clock import system_clock
from nightdesk_sandbox.inbox.mail import receive
from nightdesk_sandbox.inbox.store import KEPT, Inbox
from nightdesk_sandbox.server import InboxHandle, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

from tests.campaigns import SEED, cases
from tests.sandbox.conftest import WAIT_SECONDS


def mail(subject: str = "[FIRING:1] BotDown (btc critical)") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Nightdesk <alerts@example.org>"
    message["To"] = "person@example.org"
    message["Subject"] = subject
    message.set_content("The bot does not answer.\n")
    message.add_alternative("<p>The bot does <b>not</b> answer.</p>", subtype="html")
    return message


async def send(inbox: InboxHandle, message: EmailMessage | bytes, *, login: str = "") -> None:
    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", inbox.smtp_port, timeout=WAIT_SECONDS) as client:
            if login:
                client.login(login, "secret-password")
            if isinstance(message, bytes):
                client.sendmail("a@example.org", ["b@example.org"], message)
            else:
                client.send_message(message)

    await asyncio.to_thread(deliver)


async def test_a_mail_arrives_with_its_text_its_html_and_its_labels(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await send(inbox, mail())
    async with http.get(f"{inbox.url}/api/messages?channel=email") as answer:
        [message] = (await answer.json())["messages"]
    assert (message["title"], message["text"]) == ("[FIRING:1] BotDown (btc critical)", "The bot does not answer.")
    assert (message["alertname"], message["severity"], message["status"]) == ("BotDown", "critical", "firing")
    assert message["html"].strip() == "<p>The bot does <b>not</b> answer.</p>"
    assert message["raw"]["recipients"] == ["person@example.org"]
    assert message["raw"]["headers"]["From"] == "Nightdesk <alerts@example.org>"
    assert "Content-Type: multipart/alternative" in message["raw"]["source"]


async def test_headers_and_parts_are_decoded(inbox: InboxHandle) -> None:
    message = EmailMessage()
    message["Subject"] = "Dreißig Prozent — 📉"
    message["To"] = "person@example.org"
    message["From"] = "alerts@example.org"
    message.set_content("Verlust: 30 %, größer als erlaubt\n", cte="base64")
    await send(inbox, message)
    [kept] = inbox.inbox.find()
    assert (kept.title, kept.text) == ("Dreißig Prozent — 📉", "Verlust: 30 %, größer als erlaubt")


async def test_of_a_mail_with_html_only_the_text_is_read(inbox: InboxHandle) -> None:
    message = EmailMessage()
    message["To"] = "person@example.org"
    message["From"] = "alerts@example.org"
    message.set_content(
        "<html><head><style>p {color: red}</style></head><body><p>First &amp; foremost</p>"
        "<table><tr><td>bot</td> <td>btc</td></tr></table><script>alert(1)</script></body></html>",
        subtype="html",
    )
    await send(inbox, message)
    [kept] = inbox.inbox.find()
    assert (kept.title, kept.text) == ("", "First & foremost\nbot btc")


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: raw \xff\xfe bytes\r\n\r\nbody \xff\r\n",
        b"Subject: x\r\nContent-Type: text/plain; charset=klingon\r\n\r\nbody\r\n",
        b"Subject: =?utf-8?b?7aCA?=\r\nContent-Type: multipart/mixed\r\n\r\nno boundary\r\n",
        b"no header at all",
    ],
)
async def test_a_malformed_mail_is_taken_and_can_be_shown(
    content: bytes, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    await send(inbox, content)
    assert len(inbox.inbox.find()) == 1
    for path in ("/", "/api/messages"):
        async with http.get(inbox.url + path) as answer:
            assert answer.status == 200


async def test_any_name_and_password_will_do_and_neither_is_kept(inbox: InboxHandle) -> None:
    await send(inbox, mail(), login="alerts@example.org")
    [kept] = inbox.inbox.find()
    assert "secret-password" not in kept.model_dump_json()


async def test_a_connection_left_open_does_not_keep_the_inbox_from_closing(tmp_path: Path) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        async with serve_inbox(SandboxSettings(), home=tmp_path, host="127.0.0.1", port=0, smtp_port=0) as inbox:
            reader, writer = await asyncio.open_connection("127.0.0.1", inbox.smtp_port)
            assert (await reader.readline()).startswith(b"220 nightdesk-inbox")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


_PIECES = (
    *(
        "=?utf-8?q?=00=0A?=",
        "=?utf-8?b?////?=",
        "=?x?q?a?=",
        "<a@b>",
        "<",
        '"',
        ":;",
        "group:a@b,c;",
        "@",
        "\u00ff",
        "\0",
    ),
    *(
        "\r\n ",
        "charset=",
        "utf-7",
        "idna",
        "base64",
        "multipart/mixed; boundary=b",
        "--b\r\n",
        "text/html",
        "[",
        "(",
        ",",
    ),
    *("message/rfc822", "\\", "xn--", "us-ascii\0", "utf-8''%00", "*0*=", ";", "\r\n\r\n", "quoted-printable", "=FF"),
)
_NAMES = ("From", "To", "Subject", "Date", "Message-Id", "Cc", "Content-Type", "Content-Transfer-Encoding")


@pytest.mark.fuzz
def test_a_mail_whose_headers_are_none_is_taken_all_the_same(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, clock=system_clock)
    for case in range(number := cases(sample=300, campaign=30_000)):
        source = random.Random(f"{SEED} {case}")
        names = source.choices(_NAMES, k=source.randint(1, 6))
        head = [f"{name}: {''.join(source.choices(_PIECES, k=source.randint(1, 5)))}\r\n" for name in names]
        content = "".join(
            [*head, "Content-Type: text/plain; charset=", source.choice(_PIECES), "\r\n\r\nwords ", *head]
        )
        receive(inbox, content.encode(), recipients=["\udcff@example.org"])
        assert inbox.last_id == case + 1, f"seed {SEED}, case {case}"
    assert len(Inbox(tmp_path, clock=system_clock).find()) == min(number, KEPT)


async def test_a_recipient_in_no_encoding_is_taken_and_spoils_nothing(inbox: InboxHandle) -> None:
    def deliver() -> bytes:
        with smtplib.SMTP("127.0.0.1", inbox.smtp_port, timeout=WAIT_SECONDS) as client:
            client.ehlo()
            assert client.sock is not None
            client.sock.sendall(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<\xff@example.org>\r\nDATA\r\n")
            [client.getreply() for _ in range(3)]
            client.sock.sendall(b"Subject: x\r\n\r\nwords\r\n.\r\n")
            return client.getreply()[1]

    assert b"accepted" in await asyncio.to_thread(deliver)
    [kept] = Inbox(inbox.folder, clock=system_clock).find()
    assert kept.to == "\N{REPLACEMENT CHARACTER}@example.org"
