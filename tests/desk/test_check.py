"""`nightdesk check` finds what is wrong before it matters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from nightdesk_core.audit import AuditLog
from nightdesk_guard import KillSwitch


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A setup in which nothing has run yet."""
    checkout = Path(__file__).resolve().parent.parent.parent
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tools").symlink_to(checkout / "var" / "tools")
    path = tmp_path / "nightdesk.yml"
    path.write_text("home: home\n")
    return path


def run_check(settings_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), *arguments, "check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("tools")
def test_a_setup_in_order_is_said_to_be(settings_file: Path) -> None:
    done = run_check(settings_file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "ok     settings",
        "ok     Prometheus's configuration and rules",
        "ok     Alertmanager's configuration",
        "ok     the strategy: nightdesk_trendbot.pipeline:TrendPipeline",
        "ok     the champion: none yet: `nightdesk retrain --bootstrap` installs a first one",
        "ok     the journal: none yet: the bot has not run",
        "ok     the audit log: 0 entries",
        "ok     the kill switch: not active",
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

    done = run_check(settings_file, "--set", "retrain.pipeline=nowhere:Nothing")
    assert done.returncode == 2
    wrong = [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert wrong == ["WRONG  the strategy", "WRONG  the champion", "WRONG  the journal", "WRONG  the audit log"]
    assert "ok     the kill switch: active: a drill" in done.stdout
