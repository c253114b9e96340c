"""The guard of any bot: what each call does, and what becomes of one that makes no sense."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_core.files.durable import LockTimeoutError
from nightdesk_exporter import BotExporter
from nightdesk_guard import Guard, GuardError, GuardStatus, KillLimits, ResumeFile

from tests.guard.conftest import DAY, NERVOUS, NORMAL, PAUSED, REDUCED
from tests.guard.own_bot import OwnBot, own_bot

NAN = float("nan")


@pytest.fixture(params=[False, True], ids=["file", "journal"])
def bot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnBot]:
    with own_bot(tmp_path, journalled=request.param) as bot:
        yield bot


def test_a_new_bot_may_enter_as_soon_as_it_has_shown_its_account(bot: OwnBot) -> None:
    assert bot.guard.blocked == "blocked_stale"
    assert bot.see() is NORMAL
    assert bot.guard.blocked is None
    assert (bot.guard.size_multiplier, bot.guard.threshold_increase) == (1.0, 0.0)
    assert not bot.guard.trades_in_the_shadow
    assert not bot.guard.must_close


def test_trades_move_the_guard_once_the_account_is_shown(bot: OwnBot) -> None:
    bot.see()
    bot.lose(3)
    assert bot.guard.status is NORMAL
    assert bot.see() is REDUCED
    assert bot.guard.blocked is None
    assert (bot.guard.size_multiplier, bot.guard.threshold_increase) == (0.5, 0.1)
    bot.lose(2)
    assert bot.see() is PAUSED
    assert bot.guard.blocked == "blocked_guard"
    assert bot.guard.size_multiplier == 0.0
    assert bot.guard.trades_in_the_shadow


def test_each_trade_counts_once(bot: OwnBot) -> None:
    bot.lose(2)
    for _ in range(5):
        assert bot.see() is NORMAL
    assert bot.remembered.memory.performance.losing_streak == 2


def test_a_fall_of_the_equity_alone_moves_it_too(bot: OwnBot) -> None:
    bot.see()
    bot.see(days=1, money=955.0)
    assert bot.see(days=1, money=940.0) is REDUCED
    assert bot.see(days=1, money=899.0) is PAUSED


def test_the_shadow_lets_it_back_a_step_at_a_time(bot: OwnBot) -> None:
    bot.see()
    bot.lose(3)
    moves = [bot.see()]
    bot.lose(2)
    moves.append(bot.see(days=1))
    for _ in range(2):
        for _ in range(2):
            bot.guard.shadow_trade(profit=20.0, risk=10.0)
        assert bot.see(days=1) is moves[-1], "not before its cool-down is over"
        moves.append(bot.see(days=1))
    assert moves == [REDUCED, PAUSED, REDUCED, NORMAL]
    assert bot.guard.blocked is None
    assert bot.remembered.shadow_equity is None


def test_shadow_trades_that_are_lost_let_it_back_never(bot: OwnBot) -> None:
    bot.pause()
    for _ in range(20):
        bot.guard.shadow_trade(profit=-1.0, risk=10.0)
        assert bot.see(days=1) is PAUSED


def test_a_shadow_trade_counts_nothing_where_there_is_no_shadow(bot: OwnBot) -> None:
    bot.see()
    bot.guard.shadow_trade(profit=20.0, risk=10.0)
    assert bot.remembered.shadow_closed == ()
    bot.pause()
    bot.switch.activate("a kill stops the shadow, too", actor="ann")
    assert not bot.guard.trades_in_the_shadow
    bot.guard.shadow_trade(profit=20.0, risk=10.0)
    assert bot.remembered.shadow_closed == ()


def test_an_operator_s_word_lets_it_climb_one_step_after_the_cool_down(bot: OwnBot) -> None:
    bot.pause()
    ResumeFile(bot.state_dir, clock=bot.clock).give("the feed was wrong", actor="ann")
    assert bot.see(days=1) is PAUSED
    assert bot.see(days=1) is REDUCED
    moved = bot.remembered.moved
    assert moved is not None
    assert moved.reason == "ann resumes after 2 days in paused: the feed was wrong"
    assert bot.see(days=9) is REDUCED, "one word, one step"


def test_the_cool_down_runs_in_the_time_that_is_passed(bot: OwnBot) -> None:
    bot.lose(5)
    assert bot.guard.equity(1000.0, leverage=0.0, time=50 * DAY) is PAUSED
    ResumeFile(bot.state_dir).give("go on", actor="ann")
    assert bot.guard.equity(1000.0, leverage=0.0, time=51.9 * DAY) is PAUSED
    assert bot.guard.equity(1000.0, leverage=0.0, time=52 * DAY) is REDUCED


@pytest.mark.parametrize("seconds", [300.5, 86_400, -301])
def test_an_account_that_was_not_shown_lately_blocks_entries_until_it_is(seconds: float, bot: OwnBot) -> None:
    bot.see()
    bot.now += seconds
    assert bot.guard.blocked == "blocked_stale"
    bot.see()
    assert bot.guard.blocked is None


WRONG_TRADES: list[tuple[Callable[[Guard], Any], str]] = [
    (lambda guard: guard.trade(profit=NAN, risk=1.0), "profit is nan: pass a finite number"),
    (lambda guard: guard.trade(profit="much", risk=1.0), "profit is 'much': pass a finite number"),  # type: ignore[arg-type]
    (
        lambda guard: guard.trade(profit=1.0, risk=0.0),
        "risk is 0.0: pass what the stop would have cost, or the trade's notional",
    ),
    (lambda guard: guard.trade(profit=1.0, risk=float("inf")), "risk is inf: pass a finite number"),
    (lambda guard: guard.trade(profit=1.0, risk=1.0, fees=NAN), "fees is nan: pass a finite number"),
    (lambda guard: guard.shadow_trade(profit=1.0, risk=1.0, slippage=NAN), "slippage is nan: pass a finite number"),
    (lambda guard: guard.equity(1.0, leverage=0.0, time=NAN), "time is nan: pass a finite number, 0 or more"),
]


@pytest.mark.parametrize(("call", "message"), WRONG_TRADES)
def test_a_wrong_call_raises_counts_for_nothing_and_blocks_entries_until_one_succeeds(
    call: Callable[[Guard], Any], message: str, bot: OwnBot
) -> None:
    bot.see()
    before = bot.remembered
    with pytest.raises(GuardError) as raised:
        call(bot.guard)
    assert str(raised.value) == message
    assert bot.remembered == before
    assert bot.guard.blocked == "blocked_guard"
    bot.see()
    assert bot.guard.blocked is None


@pytest.mark.parametrize(
    ("equity", "leverage", "message"),
    [
        (NAN, 0.0, "equity is nan: pass a finite number, 0 or more"),
        (-0.01, 0.0, "equity is -0.01: pass a finite number, 0 or more"),
        (None, 0.0, "equity is None: pass a finite number, 0 or more"),
        (1000.0, -1.0, "leverage is -1.0: pass a finite number, 0 or more"),
        (1000.0, float("inf"), "leverage is inf: pass a finite number, 0 or more"),
    ],
)
def test_an_account_that_makes_no_sense_trips_the_kill_switch_and_keeps_positions(
    equity: Any, leverage: float, message: str, bot: OwnBot
) -> None:
    bot.see()
    with pytest.raises(GuardError) as raised:
        bot.guard.equity(equity, leverage=leverage)
    assert str(raised.value) == message
    switch = bot.switch.state()
    assert (switch.active, switch.positions) == (True, "keep")
    assert switch.reason == f"the kill switch could not be evaluated ({message})"
    assert bot.guard.blocked == "blocked_kill_switch"


@pytest.mark.parametrize("share", [0.0, 1.0, NAN])
def test_a_break_even_that_is_no_share_is_refused(share: float, tmp_path: Path) -> None:
    with pytest.raises(GuardError, match=r"break_even_win_rate is .*(it lies between 0 and 1|pass a finite number)"):
        Guard(tmp_path, break_even_win_rate=share)


def test_numbers_of_any_kind_will_do(bot: OwnBot) -> None:
    bot.guard.trade(profit=np.float32(-2.5), risk=Decimal(5))
    bot.guard.equity(np.float64(1000.0), leverage=0, time=np.int64(DAY))
    bot.restart()
    assert bot.remembered.memory.performance.losing_streak == 1


def test_kill_limits_follow_the_settings_unless_others_are_given(tmp_path: Path) -> None:
    with own_bot(tmp_path / "a", kill_limits=KillLimits(leverage=1.0)) as bot:
        bot.see(leverage=1.01)
        assert bot.switch.state().reason == "leverage 1.01 is above 1.00"
    with own_bot(tmp_path / "b") as bot:
        bot.see(leverage=2.5)
        assert not bot.switch.state().active
        bot.see(leverage=2.51)
        assert bot.switch.state().active


def test_outside_its_with_block_it_lets_nothing_be_entered_and_takes_nothing(bot: OwnBot) -> None:
    bot.see()
    bot.close()
    assert bot.guard.blocked == "blocked_guard"
    with pytest.raises(GuardError, match="the guard works inside its with block only"):
        bot.see()
    unused = Guard(bot.state_dir, break_even_win_rate=0.4)
    assert unused.blocked == "blocked_stale"
    with pytest.raises(GuardError, match="the guard works inside its with block only"):
        unused.trade(profit=1.0, risk=1.0)


def test_two_bots_cannot_share_a_folder(bot: OwnBot) -> None:
    with (
        pytest.raises(LockTimeoutError, match=r"guard\.lock is still held by another process"),
        Guard(bot.state_dir, break_even_win_rate=0.4),
    ):
        pass


def test_a_guard_that_is_switched_off_lets_go_while_its_kill_switch_works(tmp_path: Path) -> None:
    with own_bot(tmp_path, settings=NERVOUS.model_copy(update={"enabled": False})) as bot:
        bot.lose(20)
        assert bot.see() is GuardStatus.NORMAL
        bot.see(money=500.0)
        assert bot.guard.blocked == "blocked_kill_switch"


def test_a_person_s_clock_is_any_function_that_returns_the_time_as_a_number(tmp_path: Path) -> None:
    with Guard(tmp_path, break_even_win_rate=0.4, clock=time.time) as guard:
        guard.trade(profit=1.0, risk=1.0)
        assert guard.equity(1000.0, leverage=0.0) is NORMAL
        assert guard.blocked is None
    with AlertSender("mine", alerting=Alerting(), clock=time.time) as sender:
        sender.send_alert("FundsLow", severity="info", summary="It is a test.")
    with BotExporter("mine", symbols=[], port=0, strict=True, clock=time.time) as exporter:
        exporter.heartbeat()
        assert exporter.health().issues == ()
