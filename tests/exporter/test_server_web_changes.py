"""The web configuration file while the server runs: what changes is in force, what is broken is not."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

import pytest
import requests
from nightdesk_exporter.server import ExporterServer
from nightdesk_exporter.web import watch

from tests.exporter.certificates import Authority
from tests.exporter.conftest import SECONDS, TLS, USERS, Serve, get, until


def test_a_changed_file_is_in_force_without_a_restart(serve: Serve, tmp_path: Path) -> None:
    server = serve(USERS)
    _write(tmp_path / "web.yml", USERS.replace("prometheus", "grafana"))
    until(lambda: _status(server, "grafana") == 200, "the new user")
    assert _status(server, "prometheus") == 401


def test_a_changed_certificate_is_shown_without_a_restart(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    server = serve(TLS + "}\n")
    before = _certificate(server)
    authority.issue("server")
    until(lambda: _certificate(server) != before, "the new certificate")
    assert get(server, authority).ok


def _certificate(server: ExporterServer) -> str:
    host, _, port = server.url.removeprefix("https://").partition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=SECONDS)


@pytest.mark.parametrize("broken", ["basic_auth_users: {prometheus: open}\n", "{", TLS + "}\n" + USERS])
def test_a_broken_change_keeps_what_was_and_is_logged_once(
    serve: Serve, tmp_path: Path, messages: list[str], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.05)
    server = serve(USERS)
    _write(tmp_path / "web.yml", broken)
    until(lambda: _status(server, "prometheus") == 200 and len(_kept(messages)) == 1, "the change to be seen")
    time.sleep(0.2)  # it would be read again now
    assert (_status(server, "prometheus"), _status(server, "nobody")) == (200, 401)
    assert len(_kept(messages)) == 1
    assert str(tmp_path / "web.yml") in _kept(messages)[0]
    _write(tmp_path / "web.yml", USERS.replace("prometheus", "grafana"))
    until(lambda: _status(server, "grafana") == 200, "the mended file")


def _kept(messages: list[str]) -> list[str]:
    return [message for message in messages if message.startswith("the web configuration before it stays in force")]


def _status(server: ExporterServer, name: str) -> int:
    return requests.get(f"{server.url}/metrics", auth=(name, "correct horse"), timeout=SECONDS).status_code


def _write(file: Path, text: str) -> None:
    """Replace a file at once, as an editor or a secret's mount does."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)  # noqa: PTH105
