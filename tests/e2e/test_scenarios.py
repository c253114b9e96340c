"""The demo's scenarios played through the backtest, with the model that the demo trains: what happens, and by when."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nightdesk import home
from nightdesk import settings as settings_module
from nightdesk.job import job_parts
from nightdesk.settings import Settings
from nightdesk.stack.scenarios import find_scenario
from nightdesk_guard import PerformanceGuard
from nightdesk_retrain.job import run as retrain
from nightdesk_sandbox.recordings.markets import load_markets
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.server import serve_exchange
from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Run
from nightdesk_trendbot.model.champion import ChampionWatch
from nightdesk_trendbot.model.strategy import Deployment

from tests.e2e.conftest import CHECKOUT, free_ports
from tests.e2e.test_parity import all_candles

DAY = 86_400
DEMO_SECONDS = 180


def settings_of(name: str, home: Path) -> Settings:
    """Return the demo's settings as a scenario has them, in a home of the test's own."""
    (port,) = free_ports(1)
    own = (
        f"home={home}",
        f"sandbox.cache_dir={CHECKOUT / 'var' / 'cache'}",
        f"stack.ports.exchange={port}",
        "operations.alerts.enabled=false",  # nobody is there to be told
    )
    return settings_module.load(CHECKOUT / "nightdesk.yml", [*find_scenario(name).settings, *own])


def first_model(settings: Settings) -> Deployment:
    """Train the model that the demo begins with, and return it as the bot deploys it."""

    def bootstrap() -> None:
        with job_parts(settings, lambda _stage, _share: None) as parts:
            retrain(parts, trigger="manual", bootstrap=True)

    async def beside_the_exchange() -> None:
        port = settings.port("exchange")
        async with serve_exchange(settings.sandbox, home=settings.home, host="127.0.0.1", port=port):
            await asyncio.to_thread(bootstrap)

    asyncio.run(beside_the_exchange())
    watch = ChampionWatch(home.registry(settings), settings.trendbot)
    assert watch.look()
    assert watch.deployment is not None
    return watch.deployment


def play(name: str, home: Path) -> tuple[Run, float]:
    """Return what the bot does in a demo of three minutes, and when its replay begins (market time)."""
    settings = settings_of(name, home)
    model = first_model(settings)
    (candles,) = load_markets(settings.sandbox, home=home).values()
    start = replay_start(candles, settings.sandbox.replay_days)
    done = backtest.run(
        all_candles(settings),
        settings.trendbot,
        start=start,
        end=start + settings.scale.speed * DEMO_SECONDS,
        deployments=[(0, model)],
        guard=PerformanceGuard(settings.guard, break_even_win_rate=break_even_win_rate(Rules.of(settings.trendbot))),
        flat_at_end=False,
    )
    return done, start


def test_in_the_crash_the_guard_reduces_pauses_and_recovers_on_the_shadow_s_evidence(tmp_path: Path) -> None:
    done, start = play("crash", tmp_path)
    _, begins, ends = (start + act.day * DAY for act in find_scenario("crash").acts)
    assert [move.after for move in done.transitions] == ["reduced", "paused", "reduced", "normal"]
    reduced, paused, back, recovered = (move.time.seconds for move in done.transitions)
    assert begins < reduced < paused < ends < back < recovered
    assert all("shadow" in move.reason for move in done.transitions[2:])
    inside = [trade for trade in done.trades if begins + DAY < trade.entry_time < ends - DAY]
    assert len(inside) >= 5
    assert not any(trade.profit > 0 for trade in inside)
    assert any(trade.profit > 0 for trade in done.trades if trade.entry_time > recovered)


def test_in_the_decay_the_guard_pauses_the_bot_for_good_and_the_promise_is_found_broken(tmp_path: Path) -> None:
    done, start = play("decay", tmp_path)
    begins = start + find_scenario("decay").acts[1].day * DAY
    assert [move.after for move in done.transitions] == ["reduced", "paused"]
    assert done.transitions[0].time.seconds > begins
    (evidence,) = done.state.guard.evidence.values()
    assert evidence.breached
    assert evidence.win_rate is not None
    assert evidence.win_rate < 0.2


def test_the_outages_find_the_bot_without_a_position(tmp_path: Path) -> None:
    done, start = play("outage", tmp_path)
    for act in find_scenario("outage").acts:
        if act.faults:
            begins = start + act.day * DAY
            near = [t for t in done.trades if t.entry_time < begins + DAY / 2 and t.exit_time > begins - DAY / 2]
            assert not near, f"a position is open around day {act.day:g}: the kill switch would trip"
    assert len(done.trades) > 10
