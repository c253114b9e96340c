"""A bot that runs for long, and is killed now and then: nothing that it writes grows without a bound or a name."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest
from nightdesk import home
from nightdesk import settings as settings_module
from nightdesk.growth import OTHERS, measure
from nightdesk.settings import Settings
from nightdesk_core.journal.journal import journal_path, read_journal
from nightdesk_core.units import DAY_SECONDS
from nightdesk_sandbox.server import serve_exchange
from nightdesk_trendbot.live import DecisionLog, log_path

from tests.campaigns import SEED, cases
from tests.e2e.conftest import change, nightdesk, until
from tests.e2e.test_parity import last_close

CANDLES_PER_SECOND = 200
EQUITY_DAYS = 5


@pytest.fixture
def settings(settings_file: Path) -> Settings:
    """A fast replay of two symbols, of which little is kept. Without a model the bot decides all the same."""
    replay = {"replay_days": cases(sample=50, campaign=600), "candles_per_second": CANDLES_PER_SECOND}
    change(settings_file, "sandbox", {**replay, "symbols": ["BTCUSDT", "EURUSDT"]})
    change(settings_file, "trendbot", {"symbols": ["BTC/USDT:USDT", "EUR/USDT:USDT"]})
    change(settings_file, "retention", {"decisions_megabytes": 1, "equity_days": EQUITY_DAYS})
    change(settings_file, "guard", {"kill_switch": {"stale_minutes": 1e9}})
    return settings_module.load(settings_file)


@pytest.mark.kills
async def test_a_long_run_leaves_nothing_that_is_not_bounded_or_named(
    settings: Settings, settings_file: Path, programs: Callable[[list[str]], Popen[bytes]]
) -> None:
    draw, days = random.Random(SEED), settings.sandbox.replay_days
    async with serve_exchange(
        settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")
    ) as handle:
        end = handle.exchange.replay.now() + (days - 1) * DAY_SECONDS
        goals = sorted(draw.uniform(0.1, 0.9) for _ in range(cases(sample=2, campaign=20)))
        for goal in [*goals, 1.0]:
            bot = programs(nightdesk(settings_file, "bot"))
            wanted = end - (1 - goal) * (days - 1) * DAY_SECONDS

            async def reached(wanted: float = wanted) -> bool:
                return last_close(settings) >= wanted

            await until(reached, f"{goal:.0%} of the replay, seed {SEED}", seconds=days * 24 / CANDLES_PER_SECOND + 60)
            bot.kill()
            bot.wait()

    sizes = measure(settings)
    assert OTHERS not in sizes
    assert sizes["decisions"] <= settings.retention.decisions_megabytes * 1e6
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    assert log.parts()
    with read_journal(journal_path(home.state_dir(settings), settings.bot.name)) as journal:
        equity = [time.whole_seconds for time, _ in journal.equity()]
    last_day = equity[-1] // DAY_SECONDS * DAY_SECONDS
    whole = [time for time in equity if time >= last_day - EQUITY_DAYS * DAY_SECONDS]
    old = equity[: -len(whole)]
    assert len(whole) > EQUITY_DAYS * 24 * 0.9
    assert len({(time - 1) // DAY_SECONDS for time in old}) == len(old) > days * 0.8
