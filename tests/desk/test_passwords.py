"""The machine's passwords: made once, for their owner alone, and in no log and no message."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import bcrypt
import pytest
from nightdesk.channels import channels
from nightdesk.check.channels import check_secrets
from nightdesk.check.result import SetupError
from nightdesk.logbook import secrets
from nightdesk.passwords import GUARDED, ensure_password, hashed, login, password_file, url_with_login
from nightdesk.render.configuration import render
from nightdesk_core.settings import SettingsError

from tests.desk.conftest import Load


def test_a_password_is_made_once_and_only_its_owner_can_read_it(settings_with: Load) -> None:
    settings = settings_with()
    found = {server: ensure_password(settings, server) for server in GUARDED}
    assert len(set(found.values())) == len(GUARDED)
    for server, text in found.items():
        file = password_file(settings, server)
        assert len(text) >= 43, "256 bits"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert ensure_password(settings, server) == text
        assert login(settings, server) == ("nightdesk", text)
    assert stat.S_IMODE(password_file(settings, "pages").parent.stat().st_mode) == 0o700


def test_many_that_start_at_once_agree_on_one_password(settings_with: Load) -> None:
    settings, found = settings_with(), []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_password(settings, "alertmanager"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_hash_is_the_same_each_time_and_fits_only_its_password() -> None:
    assert hashed("a" * 43) == hashed("a" * 43) != hashed("b" * 43)
    for text in ("x", "a" * 43, "ä€" * 10, "z" * 72):
        assert bcrypt.checkpw(text.encode(), hashed(text).encode())
        assert not bcrypt.checkpw(b"another", hashed(text).encode())
        assert hashed(text).startswith("$2b$10$")


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 73, b"\xff\xfe"], ids=["empty", "blank", "long", "no text"])
def test_a_password_that_cannot_be_used_is_refused_with_the_file_and_what_to_do(
    settings_with: Load, content: bytes
) -> None:
    settings = settings_with()
    file = password_file(settings, "prometheus")
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"stack\.passwords_dir") as error:
        ensure_password(settings, "prometheus")
    assert str(file) in str(error.value)
    assert "xxx" not in str(error.value)


def test_where_none_can_be_made_the_command_that_does_is_told(settings_with: Load) -> None:
    """As in a container, where they are mounted."""
    settings = settings_with("stack.passwords_dir=/proc/nightdesk")
    with pytest.raises(SettingsError, match=r"openssl rand -hex 32 > /proc/nightdesk/pages_password"):
        ensure_password(settings, "pages")


def test_what_is_rendered_tells_hashes_and_files_and_no_password(settings_with: Load) -> None:
    settings = settings_with()
    rendered = render(settings, out=settings.home / "rendered")
    assert render(settings, out=rendered.out).changed == (), "the hash of one password is one hash"
    made = [ensure_password(settings, server) for server in ("prometheus", "alertmanager", "pushgateway")]
    for file in (path for path in rendered.out.rglob("*") if path.is_file()):
        assert not [text for text in made if text in file.read_text(errors="replace")], file
    for server in ("prometheus", "alertmanager", "pushgateway"):
        assert stat.S_IMODE(rendered.web_config(server).stat().st_mode) == 0o600


def test_the_passwords_are_secrets_of_every_log_and_of_no_repr(settings_with: Load) -> None:
    settings = settings_with()
    made = [ensure_password(settings, server) for server in GUARDED]
    assert set(made) <= set(secrets(settings))
    assert not [text for text in made if text in repr(channels(settings)) + repr(settings)]


def test_the_bot_finds_alertmanager_by_its_password_and_without_one_by_its_address(settings_with: Load) -> None:
    settings = settings_with()
    address = settings.address("alertmanager")
    assert channels(settings).alerting.alertmanagers == (f"http://{address}",)
    password_file(settings, "alertmanager").parent.mkdir()
    password_file(settings, "alertmanager").write_text("a:b@c/d\n")
    assert url_with_login(settings, "alertmanager") == f"http://nightdesk:a%3Ab%40c%2Fd@{address}"
    assert channels(settings).alerting.alertmanagers == (url_with_login(settings, "alertmanager"),)


def test_the_check_makes_no_password(settings_with: Load, settings_file: Path) -> None:
    from nightdesk.check.setup import check

    settings = settings_with()
    assert not [found for found in check(settings, settings_file=settings_file, offline=True) if found.trouble]
    assert not password_file(settings, "prometheus").parent.exists()


def test_the_check_names_a_password_that_others_can_read(settings_with: Load, settings_file: Path) -> None:
    settings = settings_with()
    render(settings, out=settings.home / "rendered")
    assert check_secrets(settings, settings_file).endswith("that others cannot read")
    for file in (password_file(settings, "pushgateway"), settings.home / "rendered/prometheus/web.yml"):
        file.chmod(0o644)
        with pytest.raises(SetupError, match=f"chmod 600 {file}"):
            check_secrets(settings, settings_file)
        file.chmod(0o600)
