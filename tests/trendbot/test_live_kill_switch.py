"""The live loop under its kill switch: what it stops, what it closes, and what trips it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nightdesk_core.registry import ModelRegistry
from nightdesk_trendbot.candles import Candles
from nightdesk_trendbot.feed import Step
from nightdesk_trendbot.live import LiveBot, LiveParts
from nightdesk_trendbot.market import STATE_KEY
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.signals import Outcome
from nightdesk_trendbot.state import EngineState

from tests.trendbot.conftest import FIRST, STOP, publish
from tests.trendbot.replay import SYMBOL, Replay


async def test_the_kill_switch_stops_entries_and_leaves_what_is_open(
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    opened_at: list[float] = []

    def kill_once_something_is_open(_hour: int) -> None:
        if parts.exporter.snapshot.positions.get(SYMBOL) is not None and not opened_at:
            opened_at.append(parts.exporter.snapshot.market_time or 0.0)
            parts.kill_switch.activate("a test", actor="test")

    replay.on_hour = kill_once_something_is_open
    await trade(parts, replay)
    trades = parts.journal.trades()
    assert len(trades) == 1
    assert trades[0].entry_time <= opened_at[0] < trades[0].exit_time
    assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_KILL_SWITCH] > 0


@pytest.mark.parametrize("lifted", [False, True])
async def test_an_order_that_waits_is_taken_back_by_the_kill_switch_though_it_was_lifted_before_the_next_open(
    lifted: bool,
    make_parts: Callable[..., LiveParts],
    trade: Callable[[LiveParts, Replay], Any],
    candles: Candles,
    registry: ModelRegistry,
    model: MetaModel,
) -> None:
    registry.promote(publish(registry, model), standing="champion", instead_of=None)
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    killed_at: list[int] = []

    def kill_while_an_order_waits() -> None:
        state = parts.journal.load(STATE_KEY)
        if state is None or killed_at or not EngineState.from_json(state).books[SYMBOL].account.waiting:
            return
        killed_at.append(state["last_close"])
        parts.kill_switch.activate("a test", actor="test")
        if lifted:
            parts.kill_switch.resume("it was one", actor="test")

    on_step = LiveBot._on_step

    def then_kill(bot: LiveBot, step: Step) -> None:
        on_step(bot, step)
        kill_while_an_order_waits()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LiveBot, "_on_step", then_kill)
        await trade(parts, replay)
    assert len(killed_at) == 1
    entries = [deal.entry_time for deal in parts.journal.trades()]
    assert killed_at[0] not in entries
    assert bool(entries) is lifted
