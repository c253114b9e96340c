"""The live loop under its kill switch: what it stops, what it closes, and what trips it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from nightdesk_guard import KillSwitch
from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.state import read_state
from nightdesk_trendbot.live.bot import LiveBot
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from nightdesk_trendbot.market.events import Step
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.signals.candles import Candles
from nightdesk_trendbot.signals.signal import Outcome

from tests.trendbot.conftest import FIRST, STOP, MakeParts, Trade
from tests.trendbot.replay import SYMBOL, Replay


async def test_the_kill_switch_stops_entries_and_leaves_what_is_open(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    opened_at: list[float] = []

    def kill_once_something_is_open(_hour: int) -> None:
        if parts.exporter.snapshot.positions.get(SYMBOL) is not None and not opened_at:
            opened_at.append(parts.exporter.snapshot.newest_close_market or 0.0)
            KillSwitch(parts.state_dir).activate("a test", actor="test")

    replay.on_hour = kill_once_something_is_open
    await trade(parts, replay)
    trades = parts.journal.trades()
    assert len(trades) == 1
    assert trades[0].entry_time <= opened_at[0] < trades[0].exit_time
    assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_KILL_SWITCH] > 0


@pytest.mark.parametrize("lifted", [False, True])
async def test_an_order_that_waits_is_taken_back_by_the_kill_switch_though_it_was_lifted_before_the_next_open(
    lifted: bool,
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    killed_at: list[int] = []

    def kill_while_an_order_waits() -> None:
        state = parts.journal.load(STATE_KEY)
        if state is None or killed_at or not read_state(state, source="a test").books[SYMBOL].account.waiting:
            return
        killed_at.append(state["last_close"])
        KillSwitch(parts.state_dir).activate("a test", actor="test")
        if lifted:
            KillSwitch(parts.state_dir).resume("it was one", actor="test")

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


async def test_a_kill_that_closes_does_so_at_once_at_the_newest_price_and_through_a_restart(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    replay = Replay({SYMBOL: candles}, FIRST, STOP)
    prices: list[float] = []

    def kill_once_something_is_open(hour: int) -> None:
        if parts.exporter.snapshot.positions.get(SYMBOL) is not None and not prices:
            prices.append(float(candles.open[hour]))
            KillSwitch(parts.state_dir).activate("a test", actor="test", positions="close")

    replay.on_hour = kill_once_something_is_open
    await trade(parts, replay)
    (closed,) = parts.journal.trades()
    assert closed.exit_reason == "kill_switch"
    slipped = 1 + 0.002 * (1 if closed.side == "short" else -1)
    assert closed.exit_price == pytest.approx(prices[0] * slipped, rel=0.002)
    assert parts.exporter.snapshot.positions[SYMBOL] is None
    assert parts.exporter.snapshot.counters["trades_closed", SYMBOL] == 1
    parts.journal.close()

    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, STOP, STOP + 100))
    assert parts.journal.trades() == [closed]
    assert parts.exporter.snapshot.kill_switch is True
    assert parts.exporter.snapshot.counters["signals", SYMBOL, Outcome.BLOCKED_KILL_SWITCH] > 0


async def test_a_loss_past_the_limit_trips_it_within_the_candle_and_the_trip_is_audited(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    deployed: MetaModel,
) -> None:
    parts = make_parts()
    kill_limits = replace(parts.tuning.kill_limits, daily_loss=0.0005)
    parts = replace(parts, tuning=replace(parts.tuning, kill_limits=kill_limits))
    await trade(parts, Replay({SYMBOL: candles}, FIRST, STOP))
    switch = KillSwitch(parts.state_dir).state()
    assert (switch.active, switch.actor, switch.activations) == (True, "guard", 1)
    assert "is above 0.05%" in switch.reason
    await LiveBot(parts)._guard.tell_in_background()
    told = [entry.details["reason"] for entry in parts.audit.entries() if entry.event == "kill_switch_activated"]
    # At least once: a bot that ends while it tells may be told again by the next.
    assert set(told) == {switch.reason}


async def test_it_is_tried_at_the_start_and_one_that_fails_stops_the_bot(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = make_parts()
    told = parts.exporter.snapshot.gauges
    replay = Replay({SYMBOL: candles}, FIRST, FIRST + 40)
    await trade(parts, replay)
    await asyncio.sleep(0)
    assert not KillSwitch(parts.state_dir).state().active
    assert ("kill_switch_self_test_timestamp_seconds",) in told
    parts.journal.close()

    monkeypatch.setattr(Engine, "cancel_orders", lambda _, state: state)
    parts = make_parts()
    await trade(parts, Replay({SYMBOL: candles}, FIRST + 41, FIRST + 80))
    assert KillSwitch(parts.state_dir).state().reason == "self-test: an order was not taken back"
    assert ("kill_switch_self_test_timestamp_seconds",) not in parts.exporter.snapshot.gauges


async def test_a_switch_that_cannot_be_enforced_is_tripped(
    make_parts: MakeParts,
    trade: Trade,
    candles: Candles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = make_parts()
    enforce = LiveBot._enforce_kill_switch
    calls: list[int] = []

    def fails_once(bot: LiveBot) -> None:
        calls.append(1)
        if len(calls) == 2:  # the first is that of the start, the second the housekeeping's
            raise OSError(28, "No space left on device")
        enforce(bot)

    monkeypatch.setattr(LiveBot, "_enforce_kill_switch", fails_once)
    await trade(parts, Replay({SYMBOL: candles}, FIRST, FIRST + 20))
    switch = KillSwitch(parts.state_dir).state()
    assert (switch.active, switch.positions) == (True, "keep")
    assert switch.reason == ("the kill switch could not be enforced (OSError(28, 'No space left on device'))")
