"""Commands that are typed in a hurry, or run every few minutes: they load no numbers and no exchange."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, system_clock
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal
from nightdesk_exporter import StatusFile
from nightdesk_guard import GuardMemory, GuardState, GuardStatus, KillSwitch
from nightdesk_retrain import state
from nightdesk_trendbot.engine.state import new_state
from nightdesk_trendbot.live.journal_keys import STATE_KEY

HEAVY = {"ccxt", "joblib", "lightgbm", "llvmlite", "numba", "numpy", "pandas", "pyarrow", "scipy", "sklearn"}
PROGRAM = f"""
import atexit, sys
from nightdesk.cli.main import main
atexit.register(lambda: print("loaded", *sorted({HEAVY} & set(sys.modules))))
main()
"""


def paused(home: Path) -> None:
    """Have the bot's journal end with its guard PAUSED, so that `resume` lets that climb."""
    with_guard = replace(
        new_state(["S"], 1000.0), guard=GuardMemory(GuardState(GuardStatus.PAUSED, since=MarketTime(1)))
    )
    (home / "state").mkdir()
    journal = Journal(home / "state" / "btc.sqlite")
    journal.save(STATE_KEY, stored.plain(with_guard))
    journal.close()


def killed(home: Path) -> None:
    paused(home)
    KillSwitch(home / "state").activate("a test", actor="a test")


def told(home: Path) -> None:
    file = StatusFile(home / "logs" / "bot_status.json")
    file.replace({"bot": {"health": "healthy"}}, now=system_clock(), lifetime_seconds=60)


def retrained(home: Path) -> None:
    state.update(home / "state", last_completion=system_clock())


def new(_home: Path) -> None:
    """Leave the home as it is before anything ran."""


@pytest.mark.parametrize(
    ("before", "command", "says"),
    [
        (paused, "kill --reason nonsense", "the kill switch of btc is latched: nonsense"),
        (killed, "resume --reason sense", "its guard is paused"),
        (paused, "resume --reason sense", "the guard of btc climbs from paused to reduced"),
        (told, "status", "healthy"),
        (new, "models list", ""),
        (new, "audit verify", "0 entries"),
        (retrained, "retrain --if-due", "no retrain is due"),
    ],
)
def test_it_loads_nothing_heavy(before: Callable[[Path], None], command: str, says: str, tmp_path: Path) -> None:
    settings = tmp_path / "nightdesk.yml"
    settings.write_text("home: .\nbot: {name: btc}\n")
    before(tmp_path)
    line = [sys.executable, "-c", PROGRAM, "--settings", str(settings), *command.split()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded"
