"""The performance guard: known failures 1 to 5, and the rules by which it moves."""

from __future__ import annotations

import json
import random

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_guard import GuardState, GuardStatus, Observation, PerformanceGuard
from nightdesk_guard.settings import GuardSettings, GuardTier
from nightdesk_guard.shadow import ShadowEvidence
from pydantic import ValidationError

from tests.guard.conftest import DAY, NORMAL, PAUSED, REDUCED, Bot


def test_known_failure_1_a_guard_that_has_seen_no_trade_answers_every_question(guard: PerformanceGuard) -> None:
    for state in (GuardState(), GuardState(peak_equity=1000.0, equity=1000.0)):
        measures = guard.measures(state)
        assert (measures.win_rate, measures.losing_streak, measures.drawdown) == (None, 0, 0.0)
        after, moved = guard.advance(state, Observation(MarketTime(3600), 1000.0))
        assert (after.status, moved) == (NORMAL, None)
        assert guard.size_multiplier(after.status) == 1.0


def test_known_failure_2_a_bot_that_wins_steadily_is_never_paused_for_drawdown(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    true_peak = bot.equity
    for number in range(300):
        won = number % 2 == 0
        bot.step(won, change=12.0 if won else -6.0, hours=8)
        true_peak = max(true_peak, bot.equity)
        assert guard.measures(bot.state).drawdown == pytest.approx(1 - bot.equity / true_peak, abs=1e-12)
        assert guard.measures(bot.state).drawdown <= 6 / 1000
    assert bot.transitions == []


def test_known_failure_4_pause_streak_and_peak_survive_a_restart(guard: PerformanceGuard) -> None:
    state = GuardState(
        PAUSED,
        since=MarketTime(7200),
        peak_equity=1234.5,
        equity=1000.25,
        wins=(True, False, False),
        losing_streak=2,
        win_cusum=1.25,
        return_cusum=0.5,
        model_version="v1",
        shadow=ShadowEvidence((True, False), (1000.0, 1010.0, 1005.0), 1001.0),
        resumes_taken=3,
    )
    again = stored.from_plain(GuardState, json.loads(json.dumps(stored.plain(state))), source="a test")
    assert again == state
    assert again.status is PAUSED


def paused_within(trades: list[bool], guard: PerformanceGuard) -> bool:
    """Return whether a bot that risks 0.5% for 1% on each trade is ever paused."""
    bot = Bot(guard)
    for won in trades:
        bot.step(won, change=bot.equity * (0.01 if won else -0.005), hours=8)
        if bot.state.status is PAUSED:
            return True
    return False


def paused_by_the_old_rule(trades: list[bool]) -> bool:
    """Return whether fewer than 30% of ten trades in a row ever won."""
    return any(sum(trades[end - 10 : end]) < 3 for end in range(10, len(trades) + 1))


def test_known_failure_5_a_healthy_strategy_is_rarely_paused() -> None:
    guard = PerformanceGuard(GuardSettings(), break_even_win_rate=1 / 3)
    source = random.Random(5)
    streams = [[source.random() < 0.45 for _ in range(200)] for _ in range(200)]
    assert sum(map(paused_by_the_old_rule, streams)) / len(streams) > 0.95
    # 3.1% of 1,500 streams; 200 of them lie below 8% with four standard errors to spare.
    assert sum(paused_within(stream, guard) for stream in streams) / len(streams) < 0.08


def test_known_failure_5_a_failing_strategy_is_paused_all_the_same() -> None:
    guard = PerformanceGuard(GuardSettings(), break_even_win_rate=1 / 3)
    source = random.Random(5)
    streams = [[source.random() < 0.15 for _ in range(200)] for _ in range(40)]
    assert sum(paused_within(stream, guard) for stream in streams) == len(streams)


def test_known_failure_5_the_win_rate_limit_is_a_distance_below_break_even_in_standard_errors(
    guard: PerformanceGuard,
) -> None:
    limits = guard.limits(None)
    assert limits.source == "documented"
    assert limits.reduced.win_rate == pytest.approx(0.38 - 1.64 * (0.38 * 0.62 / 20) ** 0.5)
    assert limits.paused.win_rate == pytest.approx(0.38 - 2.33 * (0.38 * 0.62 / 20) ** 0.5)
    far = GuardTier(win_rate_standard_errors=50, losing_streak=100, drawdown_ratio=0.9)
    settings = GuardSettings(paused=far)
    assert PerformanceGuard(settings, break_even_win_rate=0.38).limits(None).paused.win_rate == 0.0


def test_known_failure_5_there_is_no_win_rate_before_its_window_is_full(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    for number in range(19):
        bot.step(number == 9, hours=1)
        assert guard.measures(bot.state).win_rate is None
    assert bot.state.status is NORMAL
    moved = bot.step(False, hours=1)
    assert guard.measures(bot.state).win_rate == 1 / 20
    assert moved is not None
    assert moved.after == "paused"
    assert "win rate 5.0% of 20 trades is below 12.7%" in moved.reason


@pytest.mark.parametrize(
    ("losses", "loss", "after", "reason"),
    [
        (10, 0.0, "reduced", "losing streak of 10 reaches 10"),
        (1, 101.0, "reduced", "drawdown 10.10% reaches 10.00%"),
        (1, 151.0, "paused", "drawdown 15.10% reaches 15.00%"),
        (10, 15.0, "paused", "drawdown 15.00% reaches 15.00%"),
    ],
)
def test_it_gets_worse_at_once_and_says_by_which_numbers(
    losses: int, loss: float, after: str, reason: str, guard: PerformanceGuard
) -> None:
    bot = Bot(guard)
    for _ in range(losses - 1):
        bot.step(False, change=-loss, hours=1)
    moved = bot.step(False, change=-loss, hours=1)
    before = "reduced" if len(bot.transitions) == 2 else "normal"
    assert moved == GuardTransition(MarketTime(bot.time), before, after, reason)
    assert bot.state.since == MarketTime(bot.time)


def test_several_limits_at_once_are_all_named(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    bot.step(*[False] * 14, change=-200.0)
    assert bot.transitions == [
        GuardTransition(
            MarketTime(DAY), "normal", "paused", "losing streak of 14 reaches 14; drawdown 20.00% reaches 15.00%"
        )
    ]


def test_what_each_status_allows(guard: PerformanceGuard) -> None:
    allowed = [(status, guard.size_multiplier(status), guard.threshold_increase(status)) for status in GuardStatus]
    assert allowed == [(NORMAL, 1.0, 0.0), (REDUCED, 0.5, 0.1), (PAUSED, 0.0, 0.0)]


def test_a_guard_that_is_switched_off_while_it_pauses_lets_the_bot_go(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    bot.step(change=-200.0)
    bot.guard = PerformanceGuard(GuardSettings(enabled=False), break_even_win_rate=0.38)
    assert bot.step(hours=1) == GuardTransition(
        MarketTime(bot.time), "paused", "normal", "the guard is switched off (guard.enabled)"
    )
    assert bot.step(*[False] * 20, change=-300.0) is None
    assert bot.state.status is NORMAL


@pytest.mark.parametrize("key", ["win_rate_standard_errors", "losing_streak", "drawdown_ratio"])
def test_limits_for_paused_lie_beyond_those_for_reduced(key: str) -> None:
    shipped = GuardSettings()
    paused = shipped.paused.model_copy(update={key: getattr(shipped.reduced, key)})
    with pytest.raises(ValidationError, match=f"paused.{key} must be greater than reduced.{key}"):
        GuardSettings(paused=paused.model_dump())
