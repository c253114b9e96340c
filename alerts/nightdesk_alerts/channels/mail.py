"""E-mail over SMTP: STARTTLS with a certificate that is checked, a login only where nobody can overhear it."""

from __future__ import annotations

import smtplib
import ssl
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address

from nightdesk_core.clock import iso

from nightdesk_alerts import wording
from nightdesk_alerts.alert import Notice
from nightdesk_alerts.alerting import Mail
from nightdesk_alerts.delivery_outcome import Delivered, DeliveryOutcome, Later, Refused

_TLS_PORT = 465


def deliver(notice: Notice, mail: Mail, *, timeout_seconds: float) -> DeliveryOutcome:
    """Send a mail to all recipients."""
    try:
        message = letter(notice, mail)
        # The host's own name is not looked up: that may take as long as the name servers please.
        if mail.port == _TLS_PORT:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                mail.server,
                mail.port,
                local_hostname="nightdesk",
                timeout=timeout_seconds,
                context=ssl.create_default_context(),
            )
        else:
            client = smtplib.SMTP(mail.server, mail.port, local_hostname="nightdesk", timeout=timeout_seconds)
        with client:
            return _send(client, message, mail)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return _by_code(min(codes), "every recipient is refused")
    except smtplib.SMTPNotSupportedError:
        return Refused("the server does not offer what mail needs: STARTTLS, a login, or UTF-8 addresses")
    except smtplib.SMTPResponseException as error:
        return _by_code(error.smtp_code, type(error).__name__)
    except ssl.SSLError as error:
        return Later(f"the TLS connection failed ({error.reason})")
    except TimeoutError:
        return Later("no answer in time")
    except (smtplib.SMTPException, OSError) as error:
        return Later(f"no connection ({type(error).__name__})")
    except (MessageError, ValueError) as error:
        return Refused(f"the mail cannot be written ({type(error).__name__})")


def _send(client: smtplib.SMTP, message: EmailMessage, mail: Mail) -> DeliveryOutcome:
    encrypted = mail.port == _TLS_PORT
    if mail.require_tls and not encrypted:
        client.starttls(context=ssl.create_default_context())
        encrypted = True
    if mail.username:
        if not encrypted and not _is_near(mail.server):
            return Refused("a login without TLS could be overheard; set email_require_tls")
        client.login(mail.username, mail.password)
    client.send_message(message, from_addr=mail.sender, to_addrs=list(mail.recipients))
    return Delivered()


def _by_code(code: int, what: str) -> DeliveryOutcome:
    return Refused(f"SMTP {code}, {what}") if 500 <= code < 600 else Later(f"SMTP {code}, {what}")


def letter(notice: Notice, mail: Mail) -> EmailMessage:
    """Return the mail: its words are those of Alertmanager's template."""
    alert = notice.alert
    message = EmailMessage()
    message["Subject"] = wording.title(notice)
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.recipients)
    message["Date"] = formatdate(notice.at)
    message["Message-ID"] = make_msgid(domain=mail.sender.partition("@")[2] or "nightdesk.invalid")
    message["Auto-Submitted"] = "auto-generated"
    heading = "Resolved\n--------" if notice.status == "resolved" else "Firing\n------"
    lines = [heading, alert.summary, alert.description]
    lines += [f"  {name}: {text}" for name, text in sorted(alert.labels.items())]
    lines.append(f"  since: {_moment(alert.starts_at)}")
    if notice.status == "resolved":
        lines.append(f"  until: {_moment(notice.at)}")
    if "runbook_url" in alert.annotations:
        lines.append(f"  what to do: {alert.annotations['runbook_url']}")
    message.set_content("\n".join(lines) + "\n")
    return message


def _moment(timestamp: float) -> str:
    return iso(timestamp).replace("T", " ").replace("Z", " UTC")


def _is_near(server: str) -> bool:
    try:
        return ip_address(server).is_loopback
    except ValueError:
        return server == "localhost"
