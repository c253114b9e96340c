"""Exporter, guard and alerts on systems that lack what Linux has: tried here with it taken away.

`make lint` has mypy look at the same rooms as for Windows and macOS.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LACKING = """
import asyncio, logging, multiprocessing, os, random, selectors, shutil, signal, socket, sqlite3, subprocess
import sys, tempfile, threading, uuid, importlib.metadata, pathlib
import concurrent.futures.thread, email.message, http.client, ssl

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("fcntl", "msvcrt", "pwd", "grp", "resource", "termios", "syslog"):
            raise ImportError(f"there is no {name} here")

sys.meta_path.insert(0, Hidden())
for name in ("fcntl", "pwd", "grp", "resource", "termios"):
    sys.modules.pop(name, None)
for name in ("register_at_fork", "fork", "geteuid", "getuid", "getegid", "getgid", "fchmod", "fchown", "chown",
             "lchown", "pread", "pwrite", "mkfifo", "killpg", "setsid", "getppid", "sysconf", "statvfs",
             "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NOCTTY"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGQUIT",
             "pthread_sigmask", "setitimer"):
    if hasattr(signal, name):
        delattr(signal, name)
real_open = open
def no_proc(path, *rest, **more):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(path)
    return real_open(path, *rest, **more)
import builtins, io
builtins.open = no_proc
"""

LIFE = """
from pathlib import Path
import json, time, urllib.request
from nightdesk_exporter import BotExporter
from nightdesk_exporter.logs import set_up
from nightdesk_guard import Guard, KillSwitch
from nightdesk_alerts import Alerting
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_core.audit import AuditLog

folder = Path(sys.argv[1])
set_up("bot", folder=folder / "logs", rotation_megabytes=0.001)
with (
    BotExporter("mine", symbols=[("BTC/USDT", "1h")], port=0, status_file=folder / "status.json",
                alert_spool=folder / "alerts.json") as exporter,
    Guard(folder / "state", break_even_win_rate=0.5, reporter=exporter) as guard,
):
    exporter.heartbeat()
    exporter.equity(10_000.0)
    guard.equity(10_000.0, leverage=0.0)
    guard.trade(profit=-1.0, risk=10.0)
    for number in range(30):
        exporter.event(f"line {number}")
    assert guard.blocked is None, guard.blocked
    with urllib.request.urlopen(exporter.url + "/metrics") as answer:
        assert b"tradebot_heartbeat_timestamp_seconds" in answer.read()
    (folder / "state" / "KILL").touch()
    guard.wait(0.1)
    assert guard.blocked == "blocked_kill_switch", guard.blocked
assert json.loads((folder / "status.json").read_text())["bot"]["running"] is False
assert len(list((folder / "logs").glob("bot*.jsonl"))) > 1
KillSwitch(folder / "state").resume("tried", actor="ann")
journal = Journal(journal_path(folder / "state", "mine"))
with journal.transaction():
    pass
journal.close()
print("lived")
"""

LOCKS = """
from pathlib import Path
from nightdesk_core.files.durable import LockTimeoutError, locked
path = Path(sys.argv[1])
if sys.argv[2] == "holds":
    with locked(path, timeout_seconds=5):
        print("held", flush=True)
        sys.stdin.readline()
        if sys.argv[3] == "dies":
            os._exit(9)
else:
    try:
        with locked(path, timeout_seconds=0.05):
            print("free")
    except LockTimeoutError:
        print("held")
"""


def run(script: str, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", LACKING + script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def test_a_bot_lives_without_what_only_some_systems_have(tmp_path: Path) -> None:
    assert run(LIFE, str(tmp_path)).splitlines()[-1] == "lived"


@pytest.mark.parametrize("end", ["ends", "dies"])
def test_a_lock_is_one_processs_alone_and_ends_with_it_without_fcntl(tmp_path: Path, end: str) -> None:
    path = str(tmp_path / "a.lock")
    command = [sys.executable, "-c", LACKING + LOCKS, path, "holds", end]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert run(LOCKS, path, "asks") == "held\n"
        holder.stdin.write("\n")
        holder.stdin.close()
        holder.wait(30)
    assert run(LOCKS, path, "asks") == "free\n"


def test_every_module_of_these_rooms_can_be_imported_there() -> None:
    script = """
import pkgutil, importlib
for room in ("nightdesk_core", "nightdesk_alerts", "nightdesk_exporter", "nightdesk_guard"):
    package = importlib.import_module(room)
    for found in pkgutil.walk_packages(package.__path__, f"{room}."):
        importlib.import_module(found.name)
print("imported")
"""
    assert run(script) == "imported\n"


def test_known_failure_26_a_bot_says_when_it_started_where_there_is_no_proc() -> None:
    script = """
import time
from nightdesk_exporter import BotExporter
from prometheus_client import CollectorRegistry
for shared in (None, CollectorRegistry()):
    with BotExporter("mine", symbols=[], port=None, registry=shared) as exporter:
        assert abs(exporter.registry.get_sample_value("process_start_time_seconds") - time.time()) < 30
print("told")
"""
    assert run(script) == "told\n"
