"""SMTP connections that a `Deadline` cuts."""

from __future__ import annotations

import smtplib
import socket

from nightdesk_alerts.delivery.deadline import watch


class TimedSMTP(smtplib.SMTP):
    """Is watched from the moment that it stands, before the server's first word."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        watch(connection)
        return connection


class TimedSMTPOverTLS(smtplib.SMTP_SSL, TimedSMTP):
    """The same with TLS from the first byte."""
