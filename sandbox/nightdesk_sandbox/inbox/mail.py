"""The mail server of the inbox: takes any mail on loopback and turns it into a message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from html.parser import HTMLParser
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from nightdesk_sandbox.errors import BindError
from nightdesk_sandbox.inbox.store import Inbox

_LARGEST_MAIL_BYTES = 1_000_000
_IDLE_SECONDS = 60
_SHOWN_HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-Id")


class _MailHandler:
    """Puts each mail into the inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take the mail of one envelope."""
        content = envelope.content or b""
        receive(self._inbox, content.encode() if isinstance(content, str) else content, recipients=envelope.rcpt_tos)
        return "250 Message accepted for delivery"


def receive(inbox: Inbox, content: bytes, *, recipients: list[str]) -> None:
    """Put a mail, as it came over the wire, into the inbox; encoded headers and parts are decoded."""
    mail = message_from_bytes(content, policy=default_policy)
    plain, html = _part(mail, "plain"), _part(mail, "html")
    headers = {name: _encodable(str(mail[name])) for name in _SHOWN_HEADERS if mail[name] is not None}
    inbox.add(
        "email",
        title=headers.get("Subject", ""),
        text=(plain if plain is not None else _text_of(html or "")).strip(),
        html=html,
        raw={"headers": headers, "recipients": recipients, "source": content.decode("utf-8", errors="replace")},
    )


def _part(mail: EmailMessage, subtype: str) -> str | None:
    """Return the text of the part that a reader of `subtype` would show, or None."""
    part = mail.get_body(preferencelist=(subtype,))
    if part is None:
        return None
    try:
        return _encodable(str(part.get_content()))
    except LookupError:  # a character set that Python does not know
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else str(payload)


def _encodable(text: str) -> str:
    """Return `text` without the lone surrogates that undecodable bytes leave behind: they fit into no answer."""
    return text.encode("utf-8", errors="replace").decode()


class _TextOfHtml(HTMLParser):
    """Collects what a person would read of an HTML mail: blocks on lines of their own, no style and no script."""

    _SILENT = frozenset({"style", "script", "head", "title"})
    _BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "hr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        self._silent += tag in self._SILENT
        if tag in self._BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        self._silent = max(self._silent - (tag in self._SILENT), 0)

    def handle_data(self, data: str) -> None:
        """Take the text between elements."""
        if not self._silent:
            self.pieces.append(data)


def _text_of(html: str) -> str:
    parser = _TextOfHtml()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.pieces).splitlines())
    return "\n".join(line for line in lines if line)


@asynccontextmanager
async def mail_server(inbox: Inbox, *, host: str, port: int) -> AsyncIterator[int]:
    """Take mail for `inbox` and yield the port, a free one where `port` is 0.

    Raises `BindError` where it cannot listen. It runs in the caller's event loop: the inbox then needs no lock.
    """
    # At every login aiosmtpd warns of a deprecated attribute that only it uses.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    loop = asyncio.get_running_loop()
    handler, sessions = _MailHandler(inbox), WeakSet[SMTP]()

    def session() -> SMTP:
        smtp = SMTP(
            handler,
            hostname="nightdesk-inbox",
            ident="Nightdesk inbox",
            data_size_limit=_LARGEST_MAIL_BYTES,
            enable_SMTPUTF8=True,
            timeout=_IDLE_SECONDS,
            loop=loop,
            # Any name and password will do, so that a client set up for a real server needs no change. Alertmanager
            # stumbles over the form in which aiosmtpd offers LOGIN, and takes PLAIN where LOGIN is not offered.
            authenticator=lambda *_: AuthResult(success=True),
            auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN"],
        )
        sessions.add(smtp)
        return smtp

    try:
        server = await loop.create_server(session, host, port)
    except OSError as error:
        raise BindError("smtp", host, port, error.strerror or str(error)) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for smtp in sessions:
            if smtp.transport is not None:
                smtp.transport.close()
        await server.wait_closed()
