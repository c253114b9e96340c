"""E-mail over SMTP: STARTTLS with a certificate that is checked, a login only where nobody can overhear it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from loguru import logger
from nightdesk_core.certificates import days_left, why_refused
from nightdesk_core.clock import WallTime, iso

from nightdesk_alerts import wording
from nightdesk_alerts.channel import Channel, Role, SandboxInbox, Secret, setting
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Later, Partly, Refused
from nightdesk_alerts.mailbox import Mailbox, MailboxError, mailboxes

if TYPE_CHECKING:
    from smtplib import SMTP

    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.web import Web

_TLS_PORT = 465
_PATIENCE = 4
"""So many times as long as one answer may a whole exchange take, which has a dozen."""
_LATER = (450, b"")


@dataclass(frozen=True, kw_only=True)
class Mail(Channel):
    """How mail is sent: STARTTLS where `require_tls`, TLS from the first byte on port 465, else unencrypted."""

    name = "mail"
    title = "e-mail"
    how = "a mail server with STARTTLS, or TLS on port 465"
    role = Role.SECOND_CHOICE
    receiver_kind = "email_configs"
    receiver = """\
to: desk@localhost
send_resolved: true  # Alertmanager's default for mail is false
headers:
  Subject: '{{ template "nightdesk.title" . }}'
text: '{{ template "nightdesk.email.text" . }}'
html: '{{ template "nightdesk.email.html" . }}'
"""
    receiver_global = """\
smtp_smarthost: localhost:587
smtp_from: nightdesk@localhost
smtp_require_tls: true
"""

    server: str = field(metadata=setting("email_smtp_server", "Host of the mail server; empty means no e-mail."))
    recipients: tuple[str, ...] = field(
        metadata=setting(
            "email_recipients",
            "Who is sent mail; needs email_smtp_server. One text may name several, with commas or semicolons between.",
            several=True,
        )
    )
    port: int = field(default=587, metadata=setting("email_smtp_port", "Port of the mail server.", least=1, most=65535))
    sender: str = field(
        default="nightdesk@localhost", metadata=setting("email_from", "The sender's address; it may have a name.")
    )
    username: str = field(
        default="", metadata=setting("email_username", "Who logs in to the mail server; empty means no login.")
    )
    password: str = field(
        default="",
        repr=False,
        metadata=setting(
            "email_password",
            "The login's password; better in a file.",
            secret=Secret("smtp_password", "the login's password", deployed_as="smtp_password"),
        ),
    )
    require_tls: bool = field(
        default=True,
        metadata=setting("email_require_tls", "Send no mail where the server does not offer STARTTLS."),
    )

    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome:
        """Send a mail to all recipients."""
        import smtplib
        from ssl import SSLError

        try:
            message = letter(notification, self)
            with self._connected(web.timeout_seconds) as client:
                return self._send(client, message, only=notification.only)
        except smtplib.SMTPNotSupportedError:
            return Refused(
                "the server does not offer what mail needs: STARTTLS, a login, or letters beyond ASCII before an @"
            )
        except smtplib.SMTPResponseException as error:
            return _by_code(error.smtp_code, type(error).__name__)
        except SSLError as error:
            return Later(why_refused(error))
        except TimeoutError:
            return Later("no answer in time")
        except (smtplib.SMTPException, OSError) as error:
            return Later(f"no connection ({type(error).__name__})")
        except MailboxError as error:
            return Refused(f"the settings hold {error}")
        except (MessageError, ValueError) as error:
            return Refused(f"the mail cannot be written ({type(error).__name__})")

    @contextmanager
    def _connected(self, timeout_seconds: float) -> Iterator[SMTP]:
        """Connect for the block, of which an answer may take `timeout_seconds`, and the whole `_PATIENCE` times that.

        Raises `TimeoutError` where it takes longer.
        """
        from smtplib import SMTPException
        from ssl import create_default_context

        from nightdesk_alerts.delivery.deadline import Deadline
        from nightdesk_alerts.delivery.timed_smtp import TimedSMTP, TimedSMTPOverTLS

        # The host's own name is not looked up: that may take as long as the name servers please.
        how: dict[str, Any] = {"local_hostname": "nightdesk", "timeout": timeout_seconds}
        with Deadline(_PATIENCE * timeout_seconds):
            if self.port == _TLS_PORT:
                client: SMTP = TimedSMTPOverTLS(self.server, self.port, context=create_default_context(), **how)
            else:
                client = TimedSMTP(self.server, self.port, **how)
            try:
                yield client
                # What the server says to a goodbye changes nothing of what it has taken.
                with suppress(SMTPException, OSError):
                    client.quit()
            finally:
                client.close()

    def _send(self, client: SMTP, message: EmailMessage, *, only: tuple[str, ...]) -> DeliveryOutcome:
        from smtplib import SMTPRecipientsRefused
        from ssl import create_default_context

        encrypted = self.port == _TLS_PORT
        if self.require_tls and not encrypted:
            client.starttls(context=create_default_context())
            encrypted = True
        if self.username:
            if not encrypted and not _is_near(self.server):
                return Refused("a login without TLS could be overheard; set email_require_tls")
            client.login(self.username, self.password)
        sender = self.from_mailbox()
        everybody = [mailbox.address for mailbox in self.to_mailboxes()]
        addresses = [address for address in everybody if not only or address in only]
        if not addresses:  # they are recipients no longer
            return Delivered()
        try:
            refused = client.send_message(message, from_addr=sender.address, to_addrs=addresses)
        except SMTPRecipientsRefused as error:
            refused = error.recipients
            if not only:
                return _by_code(min(code for code, _ in refused.values()), "every recipient is refused")
            # Of those behind one at whom the server hangs up nothing is known.
            refused = {address: refused.get(address, _LATER) for address in addresses}
        return _to_some(refused, of=len(everybody))

    def from_mailbox(self) -> Mailbox:
        """Return the one sender. Raises `MailboxError`."""
        match mailboxes([self.sender]):
            case [sender]:
                return sender
        raise MailboxError(f"{self.sender!r}, which is not one sender")

    def to_mailboxes(self) -> list[Mailbox]:
        """Return who is sent mail. Raises `MailboxError`, also where it is nobody."""
        found = mailboxes(self.recipients)
        if not found:
            raise MailboxError("no address, so that nobody is sent mail")
        return found

    @property
    def uses_tls(self) -> bool:
        """Whether mail goes nowhere without TLS."""
        return self.require_tls or self.port == _TLS_PORT

    def certificate_days(self, *, now: WallTime, timeout_seconds: float) -> int | None:
        """Return for how many days the mail server's certificate is still good, where mail goes over TLS.

        Raises `ssl.SSLError` where it is refused, `OSError` or `smtplib.SMTPException` where there is no answer.
        """
        from ssl import create_default_context

        with self._connected(timeout_seconds) as client:
            if self.port != _TLS_PORT:
                client.starttls(context=create_default_context())
            socket: Any = client.sock
            return days_left(socket.getpeercert(), now=now)

    def problems(self) -> Iterator[str]:
        """Yield whether the server is no host's name, and which addresses are none."""
        if any(mark in self.server for mark in "/@: "):
            yield f"email_smtp_server is {self.server!r}: it must be a host's name alone; the port is email_smtp_port"
        try:
            yield from _beyond_ascii("email_from", [self.from_mailbox()])
        except MailboxError as error:
            yield f"email_from holds {error}"
        if all(not text.strip(" ,;") for text in self.recipients):
            yield "email_recipients holds no address, so that nobody is sent mail"
        for text in self.recipients:
            try:
                yield from _beyond_ascii("email_recipients", mailboxes([text]))
            except MailboxError as error:
                yield f"email_recipients holds {error}"

    def receiver_values(self) -> dict[str, Any]:
        """Return who is sent mail. Raises `MailboxError`."""
        with _held_by("email_recipients"):
            return {"to": ", ".join(mailbox.encoded for mailbox in self.to_mailboxes())}

    def global_values(self) -> dict[str, Any]:
        """Return the mail server, and the login where there is one. Raises `MailboxError`."""
        with _held_by("email_from"):
            sender = self.from_mailbox()
        values = {
            "smtp_smarthost": f"{self.server}:{self.port}",
            "smtp_from": sender.encoded,
            "smtp_require_tls": self.require_tls,
        }
        if self.username:
            values["smtp_auth_username"] = self.username
        if self.password:
            values["smtp_auth_password_file"] = "secrets/smtp_password"  # noqa: S105 - where it lies
        return values

    @classmethod
    def in_sandbox(cls, inbox: SandboxInbox, values: Mapping[str, Any]) -> Self:
        """Return the inbox's mail server, without TLS."""
        return cls(
            server=inbox.smtp_host,
            port=inbox.smtp_port,
            sender=values["email_from"],
            recipients=("desk@nightdesk.invalid",),
            require_tls=False,
        )


def _to_some(refused: Mapping[str, tuple[int, bytes]], *, of: int) -> DeliveryOutcome:
    """Return how a mail ended that some have: who is refused for a while is left, who is for good is only said."""
    lost = [address for address, (code, _) in refused.items() if _is_final(code)]
    if lost:
        logger.error("alerts: the mail server refuses {} of {} recipients for good", len(lost), of)
    left = tuple(address for address in refused if address not in lost)
    if left:
        logger.warning(
            "alerts: the mail server refuses {} of {} recipients for a while; they are tried again", len(left), of
        )
    return Partly(left) if left else Delivered()


def _is_final(code: int) -> bool:
    return 500 <= code < 600


def _by_code(code: int, what: str) -> DeliveryOutcome:
    return Refused(f"SMTP {code}, {what}") if _is_final(code) else Later(f"SMTP {code}, {what}")


@contextmanager
def _held_by(key: str) -> Iterator[None]:
    """Have an error say which setting holds what is no address."""
    try:
        yield
    except MailboxError as error:
        raise MailboxError(f"operations.alerts.{key} holds {error}") from None


def _beyond_ascii(key: str, found: Iterable[Mailbox]) -> Iterator[str]:
    for mailbox in found:
        if not mailbox.local.isascii():
            yield f"{key} holds {mailbox.address!r}: few mail servers take letters beyond ASCII before the @"


def letter(notification: Notification, mail: Mail) -> EmailMessage:
    """Return the mail: its words are those of Alertmanager's template. Raises `MailboxError`."""
    alert = notification.alert
    message = EmailMessage()
    message["Subject"] = wording.title(notification)
    sender = mail.from_mailbox()
    message["From"] = sender.header
    message["To"] = [mailbox.header for mailbox in mail.to_mailboxes()]
    message["Date"] = formatdate(notification.at)
    message["Message-ID"] = make_msgid(domain=sender.host)
    message["Auto-Submitted"] = "auto-generated"
    heading = "Resolved\n--------" if notification.status == "resolved" else "Firing\n------"
    lines = [heading, alert.summary, alert.description]
    lines += [f"  {name}: {text}" for name, text in sorted(alert.labels.items())]
    lines.append(f"  since: {_moment(alert.starts_at)}")
    if notification.status == "resolved":
        lines.append(f"  until: {_moment(notification.at)}")
    if "runbook_url" in alert.annotations:
        lines.append(f"  what to do: {alert.annotations['runbook_url']}")
    # Whatever the words are: lines of 76 ASCII characters, which every server takes.
    message.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    return message


def _moment(timestamp: float) -> str:
    return iso(timestamp).replace("T", " ").replace("Z", " UTC")


def _is_near(server: str) -> bool:
    try:
        return ip_address(server).is_loopback
    except ValueError:
        return server == "localhost"


CHANNEL = Mail
