"""The mail server of the inbox: STARTTLS, logins, and the refusals of a real one."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakKeyDictionary, WeakSet

from aiosmtpd.smtp import SMTP, AuthenticatorType, AuthResult, Envelope, LoginPassword, Session

from nightdesk_sandbox.errors import BindError
from nightdesk_sandbox.inbox.certificate import tls_context
from nightdesk_sandbox.inbox.faults import Error500, InboxFaults, MetFault, RateLimit, Refuse, Silence, Slow
from nightdesk_sandbox.inbox.mail import receive
from nightdesk_sandbox.inbox.settings import InboxSettings
from nightdesk_sandbox.inbox.store import Inbox

LARGEST_MAIL_BYTES = 1_000_000
_IDLE_SECONDS = 60

REFUSALS = {
    "policy": "550 5.7.1 Message refused by policy",
    "mailbox_unavailable": "550 5.1.1 Mailbox unavailable",
    "sender_rejected": "553 5.1.8 Sender address rejected",
    "storage": "452 4.3.1 Insufficient system storage",
}
"""Why mail is refused, by the reason that a `refuse` fault names. Recipients that do not exist are taken otherwise."""


class _Server(SMTP):
    """Offers LOGIN in the words that clients look for; Alertmanager stumbles over aiosmtpd's own."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def hang_up(self) -> None:
        """Close the connection once what is being said has been sent."""
        self.loop.call_soon(self.close)

    def close(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()


class _Handler:
    """Puts each mail into the inbox, unless a fault keeps it out."""

    def __init__(self, inbox: Inbox, faults: InboxFaults) -> None:
        self._inbox = inbox
        self._faults = faults
        self._silent: WeakKeyDictionary[Session, MetFault] = WeakKeyDictionary()
        """The sessions whose next mail is taken, and not answered."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: _Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer the beginning of a mail, which is where faults happen."""
        for met in self._faults.meet("email"):
            fault, remaining = met.fault, met.remaining_seconds
            match fault:
                case Slow():
                    await met.hold(fault.delay_seconds)
                case Silence(taken=True):
                    self._silent[session] = met
                case Silence():
                    await _fall_silent(server, met)
                case RateLimit():
                    seconds = math.ceil(fault.retry_after_seconds or remaining)
                    return f"451 4.7.1 Too many messages, try again in {seconds} seconds"
                case Error500():
                    server.hang_up()
                    return "421 4.3.0 Service not available, closing transmission channel"
                case Refuse():
                    return REFUSALS[fault.reason]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: _Server, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail of one envelope."""
        content = envelope.content or b""
        receive(self._inbox, content.encode() if isinstance(content, str) else content, recipients=envelope.rcpt_tos)
        if (met := self._silent.pop(session, None)) is not None:
            await _fall_silent(server, met)
        return "250 Message accepted for delivery"


async def _fall_silent(server: _Server, met: MetFault) -> None:
    """Say nothing until the fault ends, and then hang up. Does not return: with its connection a session ends."""
    await met.hold(met.remaining_seconds)
    server.close()
    await asyncio.Event().wait()


def _authenticator(settings: InboxSettings, password: str) -> AuthenticatorType:
    """Return what judges a login; where no name is set, any name and password will do."""

    def judge(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object) -> AuthResult:
        if not settings.smtp_username:
            # So that a client set up for a real server needs no change.
            return AuthResult(success=True)
        good = isinstance(login, LoginPassword) and (
            hmac.compare_digest(login.login, settings.smtp_username.encode())
            and hmac.compare_digest(login.password, password.encode())
        )
        return AuthResult(success=good, handled=False)

    return judge


@asynccontextmanager
async def mail_server(
    inbox: Inbox, faults: InboxFaults, settings: InboxSettings, *, home: Path, folder: Path, host: str, port: int
) -> AsyncIterator[int]:
    """Take mail for `inbox` and yield the port, a free one where `port` is 0. The certificate lies in `folder`.

    Raises `SettingsError` where the password's file cannot be read, which lies in `home`, and `BindError` where it
    cannot listen. It runs in the caller's event loop: the inbox then needs no lock.
    """
    # At every login aiosmtpd warns of a deprecated attribute that only it uses.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    loop = asyncio.get_running_loop()
    handler, sessions = _Handler(inbox, faults), WeakSet[_Server]()
    authenticator = _authenticator(settings, settings.password(home=home))
    context = await asyncio.to_thread(tls_context, folder)

    def session() -> SMTP:
        with warnings.catch_warnings():
            # A login over a plain connection is what `smtp_require_tls` decides.
            warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
            server = _Server(
                handler,
                hostname="nightdesk-inbox",
                ident="Nightdesk inbox",
                data_size_limit=LARGEST_MAIL_BYTES,
                enable_SMTPUTF8=True,
                timeout=_IDLE_SECONDS,
                loop=loop,
                tls_context=context,
                require_starttls=settings.smtp_require_tls,
                authenticator=authenticator,
                auth_required=bool(settings.smtp_username),
                auth_require_tls=settings.smtp_require_tls,
            )
        sessions.add(server)
        return server

    try:
        listener = await loop.create_server(session, host, port)
    except OSError as error:
        raise BindError("smtp", host, port, error.strerror or str(error)) from error
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for server in sessions:
            server.close()
        await listener.wait_closed()
