"""The certificates that alerts depend on, the mail server's and the exporter's own: for how long they are good."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from nightdesk_alerts import Mail
from nightdesk_core.certificates import WARNING_DAYS, days_left, why_refused
from nightdesk_core.clock import WallTime

from nightdesk.channels import channels
from nightdesk.settings import Settings

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Standing:
    """What a look at one server's certificate brought; `days` is `None` where none was taken, `trouble` says why."""

    server: str
    days: int | None
    trouble: str = ""
    refused: bool = False

    @property
    def sentence(self) -> str:
        """What a person is told."""
        if self.days is None:
            return f"{self.server}: {self.trouble}"
        return f"{self.server}: its certificate is good for {self.days} days"

    @property
    def ends_soon(self) -> bool:
        """Whether it is refused, or will be before long; not where there merely was no answer."""
        return self.refused or (self.days is not None and self.days < WARNING_DAYS)


def standings(settings: Settings, *, now: WallTime) -> Iterator[Standing]:
    """Yield how the certificates stand, asking each server."""
    for channel in channels(settings).alerting.channels:
        if isinstance(channel, Mail) and channel.uses_tls:
            name = f"the mail server {channel.server}:{channel.port}"
            yield _standing(name, partial(channel.certificate_days, now=now, timeout_seconds=_TIMEOUT_SECONDS))
    if settings.bot.scrape.scheme == "https":
        name = f"the exporter at {settings.bot_url}"
        yield _standing(name, partial(_of_exporter, settings, now=now))


def _standing(server: str, look: Callable[[], int | None]) -> Standing:
    try:
        days = look()
    except ssl.SSLError as error:
        return Standing(server, None, f"{why_refused(error)}: nothing goes there until that is put right", refused=True)
    except (OSError, smtplib.SMTPException) as error:
        return Standing(server, None, f"its certificate was not seen: it does not answer ({type(error).__name__})")
    return Standing(server, days, "it shows no certificate" if days is None else "")


def _of_exporter(settings: Settings, *, now: WallTime) -> int | None:
    host, _, port = settings.address("bot").rpartition(":")
    trusted = settings.bot.scrape.ca_file
    context = ssl.create_default_context(cafile=None if trusted is None else str(trusted))
    with (
        socket.create_connection((host, int(port)), timeout=_TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        return days_left(encrypted.getpeercert(), now=now)
