"""The engine under its guard: when it is asked, and what the bot does in the shadow while it is held back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.files import stored
from nightdesk_guard import (
    Expected,
    GuardLimits,
    GuardMemory,
    GuardProfile,
    GuardState,
    GuardStatus,
    ModelInUse,
    PerformanceGuard,
)
from nightdesk_guard.limits import TierLimits
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.engine.engine import Engine, StepResult
from nightdesk_trendbot.engine.state import EngineState, new_state, read_state
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.signal import Outcome, Permission, Signal

from tests.trendbot.conftest import HOUR
from tests.trendbot.engine_desk import QUIET, START, SYMBOL, bar, entered, uncorrelated, wish


@pytest.fixture
def guard() -> PerformanceGuard:
    """One loss reduces, two pause; two shadow trades won in a row and an hour let the bot back a step."""
    settings = GuardSettings.model_validate(
        {
            "reduced": {"win_rate_standard_errors": 1, "losing_streak": 2, "drawdown_ratio": 0.01},
            "paused": {"win_rate_standard_errors": 2, "losing_streak": 3, "drawdown_ratio": 0.02},
            "recovery": {"wins_in_a_row": 2},
            "cool_down_days": 1 / 24,
        }
    )
    return PerformanceGuard(settings, break_even_win_rate=0.4)


class Held:
    """A desk whose guard paused it in the candle of hour 2: its one position hit the stop."""

    def __init__(self, chosen: TrendbotSettings, guard: PerformanceGuard) -> None:
        self.guard = guard
        self.engine = Engine(chosen, interval_seconds=HOUR, guard=guard)
        self.killed = False
        begun = entered(chosen).state
        self.state = replace(begun, guard=GuardMemory(GuardState(peak_equity=1000, equity=1000)))
        self.result = self.candle(2, 100, 101, 90, 95)

    @property
    def shadow(self) -> EngineState:
        assert self.state.shadow is not None
        return self.state.shadow

    def candle(self, hour: int, *prices: float, signal: Signal = QUIET) -> StepResult:
        """Have a candle of open, high, low and close pass; the state is restored from what is stored before it."""
        self.state = read_state(json.loads(json.dumps(stored.plain(self.state))), source="a test")
        candle = bar(hour, *prices)
        self.state = self.engine.at_open(self.state, SYMBOL, time=MarketTime(candle.time), price=candle.open)
        self.result = self.engine.at_close(
            self.state,
            {SYMBOL: candle},
            signals={SYMBOL: signal},
            permission=self._permission,
            correlation=uncorrelated,
            model=ModelInUse("v1"),
        )
        self.state = self.result.state
        return self.result

    def _permission(self, seen: EngineState, _signal: Signal) -> Permission:
        status = seen.guard.status
        increase = self.guard.threshold_increase(status)
        multiplier = self.guard.size_multiplier(status)
        return Permission(guard=status, killed=self.killed, size_share=multiplier, threshold=0.8 + increase)

    def win_in_the_shadow(self, hour: int) -> None:
        """Have the shadow decide at an hour's close, enter at the next open, and reach its target there."""
        self.candle(hour, 100, 100, 100, 100, signal=replace(wish(1), probability=0.85))
        self.candle(hour + 1, 100, 120, 100, 110)


@pytest.fixture
def held(plain: TrendbotSettings, guard: PerformanceGuard) -> Held:
    return Held(plain, guard)


def test_the_guard_sees_the_trade_before_the_decision_of_the_same_candle(
    plain: TrendbotSettings, guard: PerformanceGuard
) -> None:
    engine = Engine(plain, interval_seconds=HOUR, guard=guard)
    state = replace(entered(plain).state, guard=GuardMemory(GuardState(peak_equity=1000, equity=1000)))
    asked = []

    def permission(seen: EngineState, _signal: Signal) -> Permission:
        asked.append(seen.guard.status.value)
        return Permission(guard=seen.guard.status)

    state = engine.at_open(state, SYMBOL, time=MarketTime(START + 2 * HOUR), price=100.0)
    result = engine.at_close(
        state,
        {SYMBOL: bar(2, 100, 101, 90, 95)},
        signals={SYMBOL: wish(1)},
        permission=permission,
        correlation=uncorrelated,
        model=ModelInUse("v1"),
    )
    assert len(result.trades) == 1
    assert result.transition is not None
    assert result.transition.after == "paused"
    assert asked == ["paused", "normal"], "the bot's own guard, then the shadow's"
    assert result.decisions[SYMBOL][1].outcome is Outcome.BLOCKED_GUARD


def test_while_it_is_paused_the_bot_trades_in_the_shadow_and_no_money_moves(held: Held) -> None:
    before = held.state
    assert (held.shadow.equity, held.shadow.books[SYMBOL].account.side) == (before.equity, 0)
    held.win_in_the_shadow(3)
    (trade,) = held.result.shadow_trades
    assert (trade.exit_reason, trade.guard, trade.model_version) == ("target", "normal", "v1")
    assert trade.profit > 0
    assert held.shadow.equity == pytest.approx(before.equity + trade.profit)
    assert held.result.trades == ()
    assert (held.state.equity, held.state.peak_equity) == (before.equity, before.peak_equity)
    assert held.state.books[SYMBOL].account == before.books[SYMBOL].account
    assert held.result.decisions[SYMBOL][1].outcome is Outcome.NO_SIGNAL


def test_the_shadow_trades_at_full_size_and_threshold_where_the_bot_is_reduced(held: Held) -> None:
    held.win_in_the_shadow(3)
    held.win_in_the_shadow(5)
    assert held.result.transition is not None
    assert (held.state.guard.status, held.result.transition.after) == (GuardStatus.REDUCED, "reduced")
    held.candle(7, 100, 100, 100, 100, signal=replace(wish(1), probability=0.85))
    assert held.result.decisions[SYMBOL][1].outcome is Outcome.BLOCKED_MODEL
    assert held.shadow.books[SYMBOL].account.waiting
    held.candle(8, 100, 120, 100, 110)
    held.candle(9, 100, 100, 100, 100, signal=replace(wish(1), probability=0.95))
    ours, theirs = held.state.books[SYMBOL], held.shadow.books[SYMBOL]
    assert ours.account.order.notional / held.state.equity == pytest.approx(0.25)
    assert theirs.account.order.notional / held.shadow.equity == pytest.approx(0.5)
    assert (ours.guard, theirs.guard) == ("reduced", "normal")


def test_the_shadow_ends_where_the_guard_is_normal_again(held: Held) -> None:
    for hour in (3, 5, 7, 9):
        held.win_in_the_shadow(hour)
    assert held.state.guard.status is GuardStatus.NORMAL
    assert held.state.shadow is None
    assert held.state.equity < 1000.0, "what the shadow won is nobody's"


def test_a_kill_stops_the_shadow_s_entries_and_ends_what_it_holds(held: Held) -> None:
    held.killed = True
    held.candle(3, 100, 100, 100, 100, signal=replace(wish(1), probability=0.95))
    assert not held.shadow.books[SYMBOL].account.waiting
    held.killed = False
    held.candle(4, 100, 100, 100, 100, signal=replace(wish(1), probability=0.95))
    assert held.shadow.books[SYMBOL].account.waiting
    after = held.engine.cancel_orders(held.state)
    assert after.shadow is not None
    assert not after.shadow.books[SYMBOL].account.waiting
    assert held.engine.cancel_orders(after) is after
    held.candle(5, 100, 100, 100, 100)
    assert held.shadow.books[SYMBOL].account.side == 1
    after = held.engine.cancel_orders(held.state)
    assert after.shadow is not None
    assert (after.shadow.books[SYMBOL].account.side, after.shadow.books[SYMBOL].account.realised) == (0, 0.0)


def test_an_open_acts_once_for_the_shadow_as_well(held: Held) -> None:
    held.candle(3, 100, 100, 100, 100, signal=replace(wish(1), probability=0.95))
    time = START + 4 * HOUR
    once = held.engine.at_open(held.state, SYMBOL, time=MarketTime(time), price=100.0)
    assert once.shadow is not None
    assert once.shadow.books[SYMBOL].account.side == 1
    assert held.engine.at_open(once, SYMBOL, time=MarketTime(time), price=110.0) is once


def test_without_a_guard_there_is_no_shadow(plain: TrendbotSettings) -> None:
    desk = entered(plain)
    desk.candle(bar(2, 100, 101, 90, 95))
    assert desk.state.shadow is None


EXPECTED = Expected(
    trades=100,
    days=200,
    wins=50,
    win_rate=0.5,
    win_rate_bound=0.43,
    mean_r=0.4,
    mean_fees_r=0.2,
    mean_slippage_r=0.1,
    trades_a_day=0.5,
    sharpe_ratio=1.5,
    drawdowns={},
)
CALIBRATED = GuardProfile(
    GuardLimits("calibrated", TierLimits(losing_streak=90), TierLimits(losing_streak=91)), EXPECTED
)


class Deployed:
    """A desk with a model that has a profile; its every trade is lost in the candle of its entry."""

    def __init__(self, chosen: TrendbotSettings, guard: PerformanceGuard) -> None:
        self.engine = Engine(chosen, interval_seconds=HOUR, guard=guard)
        self.state = new_state([SYMBOL], 1000.0)
        self.hour = 0

    def lose(self, *, version: str = "v1", profile: GuardProfile | None = CALIBRATED) -> StepResult:
        """Enter, hit the stop, and return what closing it led to."""
        for signal, prices in ((wish(1), (100, 100, 100, 100)), (QUIET, (100, 100, 80, 90))):
            candle = bar(self.hour, *prices)
            self.state = self.engine.at_open(self.state, SYMBOL, time=MarketTime(candle.time), price=candle.open)
            result = self.engine.at_close(
                self.state,
                {SYMBOL: candle},
                signals={SYMBOL: signal},
                permission=lambda seen, _: Permission(guard=seen.guard.status),
                correlation=uncorrelated,
                model=ModelInUse(version, profile),
            )
            self.state = read_state(json.loads(json.dumps(stored.plain(result.state))), source="a test")
            self.hour += 1
        return result


def test_calibrated_limits_hold_while_their_model_is_in_use(plain: TrendbotSettings, guard: PerformanceGuard) -> None:
    deployed = Deployed(plain, guard)
    for _ in range(4):
        assert deployed.lose().transition is None
    assert deployed.state.guard.performance.losing_streak == 4
    deployed.lose(version="v2", profile=None)
    assert deployed.state.guard.status is GuardStatus.PAUSED, "by the documented limits, at once"


def test_a_breach_is_told_once_for_each_model_and_outlives_its_absence(
    plain: TrendbotSettings, guard: PerformanceGuard
) -> None:
    deployed = Deployed(plain, guard)
    breaches = [deployed.lose().guard.breach for _ in range(25)]
    (found,) = [breach for breach in breaches if breach is not None]
    assert (found.model_version, found.wins, found.breached) == ("v1", 0, True)
    assert found.e_value >= 20
    assert breaches.index(found) >= 8
    assert deployed.state.guard.evidence["v1"].signals == 25
    deployed.lose(version="v2")
    assert deployed.state.guard.evidence["v2"].signals == 1
    assert deployed.lose().guard.breach is None, "v1 was in breach already"
    assert list(deployed.state.guard.evidence) == ["v2", "v1"]
    assert (deployed.state.guard.model_version, deployed.state.guard.model_since.seconds > START) == ("v1", True)


def test_the_evidence_of_the_last_eight_models_is_kept(plain: TrendbotSettings, guard: PerformanceGuard) -> None:
    deployed = Deployed(plain, guard)
    for number in range(12):
        deployed.lose(version=f"v{number}")
    assert list(deployed.state.guard.evidence) == [f"v{number}" for number in range(4, 12)]


def test_shadow_trades_are_signals_and_real_ones_of_reduced_are_not_twice(
    plain: TrendbotSettings, guard: PerformanceGuard
) -> None:
    deployed = Deployed(plain, guard)
    strict = replace(CALIBRATED, limits=GuardLimits("calibrated", TierLimits(losing_streak=2), TierLimits()))
    for _ in range(4):
        result = deployed.lose(profile=strict)
    assert deployed.state.guard.status is GuardStatus.REDUCED
    assert len(result.trades) == len(result.shadow_trades) == 1
    found = deployed.state.guard.evidence["v1"]
    assert found.signals == 4
    assert found.reduced_r == pytest.approx(0.5 * 2 * result.trades[0].r)
    gap = found.gap(EXPECTED)
    assert gap is not None
    assert gap.fees + gap.slippage + gap.missed + gap.signal == pytest.approx(gap.promised - gap.delivered)


def test_the_shadow_trades_what_the_model_has_earned_of_its_size_as_if_the_guard_were_normal(held: Held) -> None:
    asked: list[EngineState] = []
    held.state = replace(held.state, guard=replace(held.state.guard, model_since=MarketTime(START), model_trades=7))

    def permission(seen: EngineState, _signal: Signal) -> Permission:
        asked.append(seen)
        return Permission(guard=seen.guard.status)

    held._permission = permission  # type: ignore[method-assign]
    held.candle(3, 100, 100, 100, 100, signal=wish(1))
    own, shadow = asked
    assert (own.guard.status, shadow.guard.status) == (GuardStatus.PAUSED, GuardStatus.NORMAL)
    assert (shadow.guard.model_since, shadow.guard.model_trades) == (own.guard.model_since, own.guard.model_trades)
    assert shadow.guard.model_trades == 7
