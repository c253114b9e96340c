"""The bot as a process: changed settings while it runs, and a journal that was damaged while it did not."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests
from nightdesk import home
from nightdesk import settings as settings_module
from nightdesk.settings import Settings
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_sandbox.server import serve_exchange

from tests.e2e.conftest import change, nightdesk, until
from tests.e2e.test_parity import all_candles, install

Start = Callable[[list[str]], "subprocess.Popen[bytes]"]


@pytest.fixture
def settings(settings_file: Path) -> Settings:
    """Two months of the sample's end, and a bot that enters on most signals."""
    change(settings_file, "sandbox", {"replay_days": 60, "candles_per_second": 60})
    change(settings_file, "trendbot", {"entry": {"threshold": 0.1}})
    return settings_module.load(settings_file)


def scrape(settings: Settings) -> dict[str, float]:
    """Return the bot's samples; none while it does not serve."""
    try:
        text = requests.get(f"http://{settings.address('bot')}/metrics", timeout=5).text
    except (requests.ConnectionError, requests.Timeout):
        return {}
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


async def test_changed_settings_are_taken_over_without_a_restart_and_broken_ones_are_not(
    settings: Settings, settings_file: Path, programs: Start, tmp_path: Path
) -> None:
    install(settings, all_candles(settings), seed=7, standing="champion")
    log = tmp_path / "program-0.log"
    limit = 'tradebot_drawdown_limit_ratio{level="warning"}'

    async def limit_is(value: float) -> bool:
        return scrape(settings).get(limit) == value

    async def logged(what: str) -> bool:
        return what in log.read_text()

    async with serve_exchange(settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")):
        bot = programs(nightdesk(settings_file, "bot"))
        await until(lambda: limit_is(0.05), "the bot to serve", seconds=40)
        started = scrape(settings)["process_start_time_seconds"]
        before = settings_file.read_text()
        change(settings_file, "operations", {"limits": {"drawdown_warning_ratio": 0.03}})
        change(settings_file, "stack", {"ports": {"grafana": 8731}})
        bot.send_signal(signal.SIGHUP)
        await until(lambda: limit_is(0.03), "the new limit", seconds=10)
        for said in (
            "settings taken over: operations.limits.drawdown_warning_ratio",
            "these changes wait for a restart of the bot: stack.",
        ):
            await until(lambda said=said: logged(said), said, seconds=10)  # type: ignore[misc]
        settings_file.write_text("operations: [")
        bot.send_signal(signal.SIGHUP)
        await until(lambda: logged("the settings stay as they were"), "the error", seconds=10)
        settings_file.write_text(before)
        bot.send_signal(signal.SIGHUP)
        await until(lambda: limit_is(0.05), "the old limit", seconds=10)
        assert scrape(settings)["process_start_time_seconds"] == started


def overwrite(path: Path) -> None:
    """Overwrite all but the first page of a journal."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(path.read_bytes()[:4096] + b"\x5a" * 40960)


def empty(path: Path) -> None:
    """Lose a journal's content but not its file, as a full disk or a broken copy does."""
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).write_bytes(b"")


@pytest.mark.parametrize("damage", [overwrite, empty])
async def test_a_bot_whose_journal_was_damaged_or_emptied_stays_out_of_the_market(
    damage: Callable[[Path], None], settings: Settings, settings_file: Path, programs: Start, tmp_path: Path
) -> None:
    install(settings, all_candles(settings), seed=7, standing="champion")
    path = journal_path(home.state_dir(settings), settings.bot.name)
    signals = 'tradebot_signals_total{outcome="%s",symbol="BTC/USDT:USDT"}'

    async def entered() -> bool:
        return scrape(settings).get(signals % "entered", 0) >= 2

    async def serves() -> bool:
        return bool(scrape(settings))

    async def blocked() -> bool:
        return scrape(settings).get(signals % "blocked_kill_switch", 0) >= 2

    async with serve_exchange(
        settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")
    ) as handle:
        bot = programs(nightdesk(settings_file, "bot"))
        await until(entered, "two entries", seconds=60)
        handle.exchange.pause()  # however long the bot takes to come back, there are candles left for it
        bot.kill()
        bot.wait()
        damage(path)
        damaged = path.read_bytes()
        programs(nightdesk(settings_file, "bot"))
        await until(serves, "the bot to serve again", seconds=60)
        handle.exchange.run()
        await until(blocked, "two entries that are blocked", seconds=60)

    found = scrape(settings)
    assert found["tradebot_kill_switch_active"] == 1
    assert found[signals % "entered"] == 0
    assert found['tradebot_equity{currency="USDT"}'] == 10_000
    if damage is overwrite:
        (aside,) = path.parent.glob("btc.sqlite.damaged-*Z")
        assert aside.read_bytes() == damaged
        assert len(list(path.parent.glob("btc-decisions.jsonl.damaged-*Z"))) == 1
        assert "the journal was damaged" in home.kill_switch(settings).state().reason
    else:  # one that is empty is as good as gone
        assert (path.parent / "state_lost.json").exists()
        assert "has lived" in home.kill_switch(settings).state().reason
    assert "CRITICAL" in (tmp_path / "program-1.log").read_text()
    with closing(Journal(path)) as journal:
        assert journal.trades() == []
