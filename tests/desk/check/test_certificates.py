"""Certificates of a mail server and of the exporter: how long they are good, and that people hear of it in time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nightdesk import settings as settings_module
from nightdesk.bot.certificate_watch import ALERT, tell
from nightdesk.certificates import Standing
from nightdesk.check.certificates import check_certificates
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings
from nightdesk_core.clock import WallTime

from tests.alerts.conftest import free_port, serving_inbox
from tests.exporter.certificates import Authority, Pair


def settings_of(folder: Path, **alerts: Any) -> Settings:
    """Return settings with a mail server on this machine."""
    keys = {"email_smtp_server": "127.0.0.1", "email_recipients": "me@x.org", **alerts}
    said = ", ".join(f"{key}: {value}" for key, value in keys.items())
    (folder / "nightdesk.yml").write_text(f"home: .\noperations: {{alerts: {{{said}}}}}\n")
    return settings_module.load(folder / "nightdesk.yml")


def in_days(days: float) -> WallTime:
    """Return what a clock shows in some days."""
    return WallTime((datetime.now(UTC) + timedelta(days=days)).timestamp())


@contextmanager
def tls_server(pair: Pair) -> Iterator[int]:
    """Shake hands over TLS with whoever comes, and yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_mail_server_s_certificate_is_told_by_its_days_and_is_wrong_two_weeks_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_inbox(tmp_path / "inbox") as inbox:
        settings = settings_of(tmp_path, email_smtp_port=inbox.smtp_port)
        (certificate,) = (tmp_path / "inbox").rglob("inbox-certificate.pem")
        with pytest.raises(SetupError, match="certificate is refused: self-signed certificate"):
            check_certificates(settings)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        said = check_certificates(settings, clock=lambda: in_days(3600))
        assert said == f"the mail server 127.0.0.1:{inbox.smtp_port}: its certificate is good for 49 days"
        assert check_certificates(settings, clock=lambda: in_days(3635.5)).endswith("good for 14 days")
        with pytest.raises(SetupError, match="good for 13 days; renew what has less than two weeks left"):
            check_certificates(settings, clock=lambda: in_days(3636.5))


def test_without_tls_or_an_answer_nothing_is_wrong_with_a_certificate(tmp_path: Path) -> None:
    plain = settings_of(tmp_path, email_smtp_port=free_port(), email_require_tls="false")
    assert check_certificates(plain) == "none: nothing that alerts depend on shows one"
    silent = settings_of(tmp_path, email_smtp_port=free_port())
    assert "its certificate was not seen: it does not answer (ConnectionRefusedError)" in check_certificates(silent)


def test_the_exporter_s_own_certificate_is_looked_at_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with tls_server(authority.issue("exporter")) as port:
        (tmp_path / "nightdesk.yml").write_text(
            f"home: .\nbot: {{scrape: {{scheme: https, ca_file: authority.pem}}}}\nstack: {{ports: {{bot: {port}}}}}\n"
        )
        settings = settings_module.load(tmp_path / "nightdesk.yml")
        with pytest.raises(SetupError, match=f"the exporter at https://127.0.0.1:{port}: .* good for 0 days"):
            check_certificates(settings)


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.withdrawn: list[str] = []

    def send_alert(self, alertname: str, *, severity: str, summary: str, description: str) -> None:
        self.sent.append(f"{alertname} {severity} {summary} {description}")

    def withdraw_alert(self, alertname: str) -> None:
        self.withdrawn.append(alertname)


@pytest.mark.parametrize(
    ("standing", "wrong"),
    [
        (Standing("mail", 14), False),
        (Standing("mail", 13), True),
        (Standing("mail", -3), True),
        (Standing("mail", None, "its certificate is refused: certificate has expired", refused=True), True),
        (Standing("mail", None, "its certificate was not seen: it does not answer (TimeoutError)"), False),
    ],
)
def test_the_running_bot_tells_of_a_certificate_before_it_ends_and_once_it_is_renewed(
    standing: Standing,
    wrong: bool,
) -> None:
    told = Told()
    tell([Standing("other", 300), standing], told)
    assert bool(told.sent) == wrong
    assert told.withdrawn == ([] if wrong else [ALERT])
    if wrong:
        assert told.sent[0].startswith(f"{ALERT} warning")
        assert standing.sentence in told.sent[0]
        assert "other" not in told.sent[0]
