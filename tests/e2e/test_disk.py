"""The bot as a process on a disk that takes nothing: the kernel refuses its writes, or its journal is held."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from nightdesk import home
from nightdesk.settings import Settings
from nightdesk_core.journal.journal import journal_path
from nightdesk_sandbox.server import serve_exchange
from nightdesk_trendbot.live import DecisionLog, log_path

from tests.disks import held_by_another_process
from tests.e2e.conftest import nightdesk, until
from tests.e2e.test_bot import scrape, settings
from tests.e2e.test_parity import all_candles, assert_same_as_backtest, deployed, install

__all__ = ["settings"]
Start = Callable[[list[str]], "subprocess.Popen[bytes]"]
UNLIMITED = resource.RLIM_INFINITY
JOURNAL = 'tradebot_disk_unwritable{what="journal"}'
ENTERED = 'tradebot_signals_total{outcome="entered",symbol="BTC/USDT:USDT"}'
BLOCKED = 'tradebot_signals_total{outcome="blocked_disk",symbol="BTC/USDT:USDT"}'


async def test_known_failure_23_a_running_bot_lives_through_a_full_disk_and_a_held_journal_and_a_restart_amid_them(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    markets = all_candles(settings)
    version = install(settings, markets, seed=7, standing="champion")
    path = journal_path(home.state_dir(settings), settings.bot.name)

    def fill(bot: subprocess.Popen[bytes]) -> None:
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (0, UNLIMITED))

    def make_room(bot: subprocess.Popen[bytes]) -> None:
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))

    async def blocks(value: float, entries: float = 0) -> bool:
        found = scrape(settings)
        return found.get(JOURNAL) == value and found.get(BLOCKED, 0) >= entries

    async def enters(more: float) -> bool:
        return scrape(settings).get(ENTERED, 0) >= more

    async with serve_exchange(
        settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")
    ) as handle:
        bot = programs(nightdesk(settings_file, "bot"))
        await until(lambda: enters(2), "two entries", seconds=60)
        fill(bot)
        await until(lambda: blocks(1, 1), "an entry that a full disk blocks", seconds=20)
        make_room(bot)
        await until(lambda: blocks(0), "the bot to write again", seconds=10)
        with held_by_another_process(path):
            await until(lambda: blocks(1), "the bot to find its journal held", seconds=20)
        await until(lambda: blocks(0), "the bot to write again", seconds=10)
        fill(bot)
        await until(lambda: blocks(1), "the disk to be full", seconds=20)
        handle.exchange.pause()
        bot.kill()
        bot.wait()
        bot = programs(["prlimit", "--fsize=0:unlimited", *nightdesk(settings_file, "bot")])
        await until(lambda: blocks(1), "the bot to start on a full disk", seconds=60)
        handle.exchange.run()
        make_room(bot)
        await until(lambda: blocks(0), "the bot to write again", seconds=20)
        before = scrape(settings)[ENTERED]
        await until(lambda: enters(before + 1), "an entry", seconds=60)
        assert bot.poll() is None
        assert not home.kill_switch(settings).state().active
        handle.exchange.pause()
        bot.terminate()
        assert bot.wait(20) == 0
    late = {record.late for record in DecisionLog(log_path(home.state_dir(settings), settings.bot.name)).read()}
    assert "blocked_disk" in late
    journal = assert_same_as_backtest(settings, markets, [(0, deployed(settings, version, size_share=1.0))])
    with closing(journal):
        assert len(journal.trades()) >= 2
