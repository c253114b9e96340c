"""A real bot on a machine with another user, who tries to read its state, to hold its locks and to kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nightdesk import home
from nightdesk.settings import Settings
from nightdesk_core.audit import AuditLog

from tests.e2e.conftest import nightdesk, until
from tests.e2e.test_kill_switch import Start, metric
from tests.e2e.test_parity import served, settings
from tests.other_user import as_other_user, must_be_root, open_entries, open_to_others

__all__ = ["settings"]

HOLD = """
import fcntl, os, sys, time
held = []
for path in sys.argv[1:]:
    for flags in (os.O_RDWR, os.O_RDONLY, os.O_WRONLY | os.O_CREAT):
        try:
            fcntl.flock(os.open(path, flags), fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(path)
        except OSError:
            pass
print(held)
"""


def run(settings_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        nightdesk(settings_file, *arguments), capture_output=True, text=True, timeout=120, check=False, umask=0
    )


async def started(settings: Settings, settings_file: Path, programs: Start) -> Any:
    """Start the bot in a home that every user can reach, as a careless user would: with a umask of 0."""
    settings.home.mkdir(exist_ok=True)
    open_to_others(settings.home)
    settings.home.chmod(0o777)
    # What an earlier release left: everybody can read, and so lock, it.
    state = home.state_dir(settings)
    state.mkdir(mode=0o755)
    for name in ("kill_switch.lock", "audit.jsonl.lock", "retrain_requests.lock"):
        (state / name).touch(mode=0o644)
    bot = programs(["sh", "-c", 'umask 0; exec "$@"', "sh", *nightdesk(settings_file, "bot")])

    async def serves() -> bool:
        return metric(settings, "tradebot_snapshot_timestamp_seconds ") > 0

    await until(serves, "the bot", seconds=60)
    return bot


def end(bot: subprocess.Popen[bytes]) -> None:
    """End the bot before its exchange: what it is still connected to then is never closed."""
    bot.kill()
    bot.wait()


async def test_another_user_reads_nothing_locks_nothing_and_puts_nothing_into_the_state(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    must_be_root()
    state = home.state_dir(settings)
    async with served(settings):
        bot = await started(settings, settings_file, programs)
        assert as_other_user("ls", str(settings_file.parent)).returncode == 0, "others do reach the home"
        everything = [str(path) for path in settings.home.rglob("*")]
        assert as_other_user("ls", str(state)).returncode != 0
        for path in everything:
            assert as_other_user("cat", path).stdout == ""
        assert as_other_user(sys.executable, "-c", HOLD, *everything).stdout.strip() == "[]"
        for attempt in (f"echo stop > {state}/KILL", f"mv {state} {state}.gone", f"rm -r {settings.home}/logs"):
            assert as_other_user("sh", "-c", attempt).returncode != 0
        assert metric(settings, "tradebot_kill_switch_active ") == 0

        done = run(settings_file, "kill", "--reason", "a test")
        assert "is active" in done.stdout, done.stderr

        async def active() -> bool:
            return metric(settings, "tradebot_kill_switch_active ") == 1

        await until(active, "the kill", seconds=10)
        assert run(settings_file, "resume", "--reason", "it was one").returncode == 0
        assert open_entries(settings.home).keys() <= {str(settings.home)}
        assert settings.home.stat().st_mode & 0o022 == 0
        end(bot)


@pytest.mark.parametrize("positions", ["close", "keep"])
async def test_a_kill_waits_for_no_lock_and_the_bot_acts_on_it(
    positions: str, settings: Settings, settings_file: Path, programs: Start
) -> None:
    """A command of one's own that hangs holds a lock as well as another user did."""
    state = home.state_dir(settings)
    async with served(settings):
        bot = await started(settings, settings_file, programs)
        names = ("kill_switch.lock", "audit.jsonl.lock")
        hold = f"{HOLD}sys.stdout.flush(); time.sleep(600)"
        paths = [str(state / name) for name in names]
        stuck = subprocess.Popen([sys.executable, "-c", hold, *paths], stdout=subprocess.PIPE)
        assert stuck.stdout is not None
        held = stuck.stdout.readline().decode()
        try:
            assert all(name in held for name in names)
            done = run(settings_file, "kill", "--reason", "a test", "--positions", positions)
            assert done.returncode == 0, done.stderr

            async def active() -> bool:
                return metric(settings, "tradebot_kill_switch_active ") == 1

            await until(active, "the kill", seconds=10)
            # How long a kill may wait is tested in the guard's room: on a busy machine a program takes longer to load.
            assert stuck.poll() is None, "the locks were held all the while"
            assert not home.kill_switch(settings).path.exists()
        finally:
            os.kill(stuck.pid, signal.SIGKILL)
            stuck.communicate()

        async def latched() -> bool:
            return home.kill_switch(settings).path.exists()

        await until(latched, "the latch, now that its lock is free", seconds=10)
        found = home.kill_switch(settings).state()
        assert found.positions == positions
        assert found.reason.startswith("a test (by ")

        async def recorded() -> bool:
            log = AuditLog(state / "audit.jsonl")
            return [entry.event for entry in log.entries()] == ["kill_switch_activated"]

        await until(recorded, "its record", seconds=20)
        end(bot)
