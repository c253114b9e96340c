"""The demo's scenarios played through the backtest, with the model that the demo trains: what happens, and by when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from nightdesk import settings as settings_module
from nightdesk import wiring
from nightdesk.scenarios import find_scenario
from nightdesk.settings import Settings
from nightdesk_guard import PerformanceGuard
from nightdesk_retrain.job import run as retrain
from nightdesk_sandbox.markets import load_markets
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.server import serve_exchange
from nightdesk_trendbot import backtest
from nightdesk_trendbot.backtest import Run
from nightdesk_trendbot.champion import ChampionWatch
from nightdesk_trendbot.rules import Rules, break_even_win_rate
from nightdesk_trendbot.strategy import Deployment

from tests.e2e.conftest import CHECKOUT, free_ports
from tests.e2e.test_parity import all_candles

DAY = 86_400
DEMO_SECONDS = 180


def settings_of(home: Path, *, port: int, assignments: tuple[str, ...] = ()) -> Settings:
    """Return the demo's settings with some of its own, in another home."""
    own = (
        f"home={home}",
        f"sandbox.cache_dir={CHECKOUT / 'var' / 'cache'}",
        f"stack.ports.exchange={port}",
        "operations.alerts.enabled=false",  # nobody is there to be told
    )
    return settings_module.load(CHECKOUT / "nightdesk.yml", [*own, *assignments])


@pytest.fixture(scope="module")
def first_model(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The model that the demo trains before its replay, as the bot deploys it. It is the same in every scenario."""
    (port,) = free_ports(1)
    settings = settings_of(tmp_path_factory.mktemp("demo"), port=port)

    def bootstrap() -> None:
        with wiring.job_parts(settings, lambda _stage, _share: None) as parts:
            retrain(parts, trigger="manual", bootstrap=True)

    async def beside_the_exchange() -> None:
        async with serve_exchange(settings.sandbox, home=settings.home, host="127.0.0.1", port=port):
            await asyncio.to_thread(bootstrap)

    asyncio.run(beside_the_exchange())
    watch = ChampionWatch(wiring.registry(settings), settings.trendbot)
    assert watch.look()
    assert watch.deployment is not None
    return watch.deployment


def play(name: str, model: Deployment, home: Path) -> tuple[Run, float]:
    """Return what the bot does in a scenario's whole replay, and when that begins (market time)."""
    settings = settings_of(home, port=1, assignments=find_scenario(name).settings)
    (candles,) = load_markets(settings.sandbox, home=home).values()
    start = replay_start(candles, settings.sandbox.replay_days)
    guard = PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(settings.trendbot)))
    done = backtest.run(
        all_candles(settings),
        settings.trendbot,
        start=start,
        end=candles.end,
        deployments=[(0, model)],
        guard=guard,
        flat_at_end=False,
    )
    return done, start


def demo_days(name: str) -> float:
    """Return how many market days pass in a demo of three minutes."""
    speed = settings_of(Path(), port=1, assignments=find_scenario(name).settings).scale.speed
    return DEMO_SECONDS * speed / DAY


def test_in_the_crash_the_guard_reduces_pauses_and_recovers_on_the_shadow_s_evidence_within_three_minutes(
    first_model: Deployment, tmp_path: Path
) -> None:
    done, start = play("crash", first_model, tmp_path)
    _, begins, ends = (start + act.day * DAY for act in find_scenario("crash").acts)
    moves = [move for move in done.transitions if move.time < start + demo_days("crash") * DAY]
    path = [move.after for move in moves]
    assert path == ["reduced", "paused", "reduced", "normal"]
    assert begins < moves[0].time < moves[1].time < ends < moves[2].time < moves[3].time
    assert all("shadow" in move.reason for move in moves[2:])
    assert [trade.profit > 0 for trade in done.trades if begins + DAY < trade.entry_time < ends - DAY].count(True) == 0


def test_in_the_decay_the_bot_wins_less_and_the_guard_does_not_let_it_back(
    first_model: Deployment, tmp_path: Path
) -> None:
    done, start = play("decay", first_model, tmp_path)
    begins = start + find_scenario("decay").acts[1].day * DAY
    later = [trade for trade in (*done.trades, *done.shadow_trades) if trade.entry_time > begins]
    assert len(later) >= 40
    assert sum(trade.profit > 0 for trade in later) / len(later) < 0.25
    assert done.transitions[-1].after == "paused"
