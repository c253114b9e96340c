"""The kill switch of the real bot: it acts though no candle comes, and outlives a restart and the loss of its latch."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import requests
from nightdesk import home
from nightdesk import settings as settings_module
from nightdesk.settings import Settings
from nightdesk_core.journal.journal import Journal, journal_path, read_journal
from nightdesk_core.trades import ClosedTrade
from nightdesk_sandbox.server import ExchangeHandle

from tests.e2e.conftest import change, nightdesk, until
from tests.e2e.test_parity import all_candles, install, served, settings

__all__ = ["settings"]

Start = Callable[[list[str]], "subprocess.Popen[bytes]"]


def metric(chosen: Settings, pattern: str) -> float:
    """Return the sum of the bot's samples whose line matches, 0 where it does not serve."""
    try:
        text = requests.get(f"{chosen.bot_url}/metrics", timeout=5).text
    except (requests.ConnectionError, requests.Timeout):
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(pattern, line))


def trades(chosen: Settings) -> list[ClosedTrade]:
    """Return the trades that the bot's journal holds."""
    with read_journal(journal_path(home.state_dir(chosen), chosen.bot.name)) as journal:
        assert isinstance(journal, Journal)
        return journal.trades()


async def stand_still_with_a_position(handle: ExchangeHandle, chosen: Settings) -> None:
    """Have the market stand still at a moment when the bot holds something."""

    async def holds_and_stands() -> bool:
        if metric(chosen, r"tradebot_open_positions\{") == 0:
            return False
        handle.exchange.pause()
        if metric(chosen, r"tradebot_open_positions\{") > 0:
            return True
        handle.exchange.run()
        return False

    await until(holds_and_stands, "a position in a market that stands still", seconds=60)


async def test_it_closes_positions_without_a_candle_and_holds_through_restarts_until_somebody_resumes(
    settings: Settings, settings_file: Path, programs: Start
) -> None:
    change(settings_file, "sandbox", {"candles_per_second": 20})
    settings = settings_module.load(settings_file)
    install(settings, all_candles(settings), seed=7, standing="champion")
    switch = home.kill_switch(settings)

    async def active() -> bool:
        return metric(settings, "tradebot_kill_switch_active ") == 1

    async def inactive() -> bool:
        return metric(settings, "tradebot_build_info") > 0 and not await active()

    async with served(settings) as handle:
        bot = programs(nightdesk(settings_file, "bot"))
        await stand_still_with_a_position(handle, settings)
        assert metric(settings, "tradebot_kill_switch_self_test_timestamp_seconds ") > 0
        before = trades(settings)
        held = metric(settings, r"tradebot_open_positions\{")
        switch.kill_file.write_text("the test says so")

        async def closed() -> bool:
            return len(trades(settings)) > len(before)

        await until(closed, "the position to be closed", seconds=10)
        await until(active, "the switch to show", seconds=10)
        forced = trades(settings)[len(before) :]
        assert {trade.exit_reason for trade in forced} == {"kill_switch"}
        assert len(forced) == held
        assert metric(settings, r"tradebot_open_positions\{") == 0
        assert switch.state().reason == "the test says so"

        bot.kill()
        bot.wait()
        switch.kill_file.unlink()
        switch.path.unlink()
        programs(nightdesk(settings_file, "bot"))
        await until(active, "the bot to remember its latch", seconds=60)
        assert switch.state().reason == "its latch was lost or restored from before: the test says so"
        handle.exchange.run()

        async def blocked() -> bool:
            return metric(settings, r'tradebot_signals_total\{outcome="blocked_kill_switch"') > 0

        await until(blocked, "an entry that is blocked", seconds=60)
        assert len(trades(settings)) == len(before) + held
        switch.resume("the test goes on", actor="test")
        await until(inactive, "the switch to be lifted", seconds=10)

        async def entered() -> bool:
            return metric(settings, r'tradebot_signals_total\{outcome="entered"') > 0

        await until(entered, "an entry", seconds=60)

    entries = home.audit_log(settings).entries()
    # Each at least once: the bot was killed, perhaps between telling and noting it.
    assert {entry.details["reason"] for entry in entries if entry.event == "kill_switch_activated"} == {
        "the test says so",
        "its latch was lost or restored from before: the test says so",
    }
