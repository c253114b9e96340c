"""`nightdesk check` finds what is wrong before it matters, and changes nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from nightdesk.check import setup
from nightdesk.check.setup import check
from nightdesk.settings import load
from nightdesk.stack.tools import Tools
from nightdesk_core.audit import AuditLog
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_guard import KillSwitch

from tests.disks import full_disk


def run_check(settings_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), *arguments, "check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("tools")
def test_a_setup_in_order_is_said_to_be(settings_file: Path) -> None:
    done = run_check(settings_file)
    assert done.returncode == 0, done.stdout + done.stderr
    home, files, grown, ports, *others = done.stdout.splitlines()[1:]
    address, bot = load(settings_file).address("alertmanager"), load(settings_file).bot_url
    assert home.startswith(f"ok     the home folder: {settings_file.parent / 'home'}, ")
    assert files == "ok     the files: nobody else can change settings, state or models"
    assert grown.startswith("ok     what grows: ")
    assert ports.startswith("ok     the ports: ")
    assert others == [
        "ok     the alert channels: Discord and e-mail of the sandbox's inbox",
        "ok     the secrets: none",
        "ok     Prometheus's configuration and rules",
        "ok     Alertmanager's configuration",
        f"ok     the silences: not known: http://{address}/api/v2/silences does not answer (ConnectionError)",
        "ok     the exporter's web configuration: none: no TLS, no password",
        "ok     the candles: the samples",
        "ok     the strategy: nightdesk_trendbot.pipeline:TrendPipeline",
        "ok     the champion: none yet: `nightdesk retrain --bootstrap` installs a first one",
        "ok     the journal: none yet: the bot has not run",
        "ok     the audit log: 0 entries",
        "ok     the kill switch: not active",
        f"ok     the running bot: btc does not run at {bot} (does not answer (ConnectionError)): start it, and check"
        " again",
        "ok     the chats: none to ask for",
        "ok     the certificates: none: nothing that alerts depend on shows one",
        "ok     the exchange: the sandbox's, which does not run now",
    ]


@pytest.mark.usefixtures("tools")
def test_everything_that_is_wrong_is_named_at_once(settings_file: Path) -> None:
    home = settings_file.parent / "home"
    log = AuditLog(home / "state" / "audit.jsonl")
    log.path.parent.mkdir()
    for event in ("first", "second"):
        log.append(event, {}, actor="test")
    log.path.write_bytes(log.path.read_bytes().replace(b"first", b"forst"))
    (home / "models").mkdir()
    (home / "models" / "champion.json").write_text("{}")
    (home / "state" / "btc.sqlite").write_bytes(b"this is no database, whatever its name says" * 100)
    KillSwitch(home / "state").activate("a drill", actor="test")

    done = run_check(settings_file, "--set", "retrain.pipeline=nowhere:Nothing", "--set", "sandbox.symbols=[EURUSDT]")
    assert done.returncode == 2
    wrong = [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert wrong == [
        "WRONG  the strategy",
        "WRONG  the champion",
        "WRONG  the journal",
        "WRONG  the audit log",
        "WRONG  the exchange",
    ]
    assert "ok     the kill switch: active: a drill" in done.stdout


@pytest.mark.usefixtures("tools")
def test_nothing_is_changed(settings_file: Path) -> None:
    home = settings_file.parent / "home"
    journal = Journal(journal_path(home / "state", "btc"))
    journal.save("position", {"side": 0})
    journal.close()
    AuditLog(home / "state" / "audit.jsonl").append("first", {}, actor="test")

    def contents() -> dict[Path, str]:
        files = [path for path in home.rglob("*") if path.is_file() and "tools" not in path.parts]
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before, folders = contents(), sorted(home.iterdir())
    findings = list(check(load(settings_file), settings_file=settings_file, offline=False))
    assert not [finding for finding in findings if finding.trouble]
    assert (contents(), sorted(home.iterdir())) == (before, folders)


def test_offline_asks_no_exchange_and_without_tools_nothing_is_fetched(settings_file: Path) -> None:
    (settings_file.parent / "home" / "tools").unlink()
    findings = check(load(settings_file, ["sandbox.enabled=false"]), settings_file=settings_file, offline=True)
    remarks = {finding.subject: finding.remark for finding in findings}
    assert remarks["the exchange"] == "not asked, as --offline wants it"
    assert remarks["the servers' configuration"] == "not checked: `nightdesk tools` fetches what checks it"
    assert not (settings_file.parent / "home" / "tools").exists()


def test_where_a_channel_is_wrong_the_servers_configuration_is_not_blamed_too(settings_file: Path) -> None:
    settings = load(settings_file, ["operations.alerts.discord_webhook_url_file=absent"])
    findings = list(check(settings, settings_file=settings_file, offline=True))
    [wrong] = [finding for finding in findings if finding.trouble]
    assert wrong.subject == "the alert channels"
    assert f"{settings.home / 'absent'} cannot be read (No such file or directory)" in wrong.trouble


def test_a_full_disk_hides_nothing_of_what_is_found(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)  # as a new process, which looks for one by writing
    with full_disk():
        found = list(check(load(settings_file), settings_file=settings_file, offline=True))
    (servers,) = (each.trouble for each in found if each.subject == "the servers' configuration")
    assert servers.startswith("cannot be written to be checked (")
    assert found[-1].subject == "the exchange", "what comes after it is looked at"


@pytest.mark.parametrize(
    ("program", "trouble"),
    [
        ("#!/bin/sh\nexec sleep 60\n", "did not end within 0.3 s; run it by hand"),
        ("\x7fELF of another machine", "cannot be run (Exec format error); `nightdesk tools` fetches it"),
    ],
)
def test_a_checker_that_hangs_or_cannot_be_run_is_a_finding(
    settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, trouble: str
) -> None:
    tool = tmp_path / "tool"
    tool.write_text(program)
    tool.chmod(0o700)
    monkeypatch.setattr(setup, "_CHECKER_SECONDS", 0.3)
    monkeypatch.setattr(setup, "find_tools", lambda _: Tools(*[tool] * len(dataclasses.fields(Tools))))
    found = {
        each.subject: each.trouble for each in check(load(settings_file), settings_file=settings_file, offline=True)
    }
    assert found["Prometheus's configuration and rules"] == f"{tool} {trouble}"
    assert found["Alertmanager's configuration"] == f"{tool} {trouble}"
    assert found["the kill switch"] == ""
