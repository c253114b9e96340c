"""How the guard lets the bot back: on evidence, after a cool-down, a step at a time, and from everywhere."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from nightdesk_core.clock import MarketTime
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_guard import GuardState, PerformanceGuard, Resume
from nightdesk_guard.shadow import ShadowEvidence

from tests.guard.conftest import DAY, NORMAL, PAUSED, REDUCED, Bot

EVENTS = st.lists(
    st.tuples(
        st.floats(-0.06, 0.04),
        st.lists(st.booleans(), max_size=2).map(tuple),
        st.lists(st.booleans(), max_size=2).map(tuple),
        st.integers(1, 72),
    ),
    max_size=60,
)
Events = list[tuple[float, tuple[bool, ...], tuple[bool, ...], int]]


def play(bot: Bot, event: tuple[float, tuple[bool, ...], tuple[bool, ...], int]) -> GuardTransition | None:
    """Show the guard a candle; a paused bot closes no trade, and one that is NORMAL has no shadow."""
    change, closed, shadow, hours = event
    held_back = bot.state.status is not NORMAL
    return bot.step(*closed, change=bot.equity * change, hours=hours, shadow=shadow if held_back else ())


@pytest.fixture
def paused(guard: PerformanceGuard) -> Bot:
    """A bot that was paused a moment ago, after it had lost a fifth."""
    bot = Bot(guard)
    bot.step(change=-200.0)
    assert bot.state.status is PAUSED
    return bot


def test_known_failure_3_a_paused_bot_that_cannot_trade_is_let_back_by_its_shadow(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    for _ in range(14):
        bot.step(False, change=-1.0, hours=1)
    assert bot.state.status is PAUSED
    for number in range(40):
        if bot.state.status is not NORMAL:
            bot.step(shadow=[number % 2 == 0])
    assert bot.state.status is NORMAL
    assert [(moved.before, moved.after) for moved in bot.transitions] == [
        ("normal", "reduced"),
        ("reduced", "paused"),
        ("paused", "reduced"),
        ("reduced", "normal"),
    ]


def test_time_alone_is_no_evidence(paused: Bot) -> None:
    for _ in range(400):
        assert paused.step() is None


@given(events=EVENTS)
def test_known_failure_3_from_every_reachable_state_normal_can_be_reached_again(
    nervous: PerformanceGuard, events: Events
) -> None:
    bot = Bot(nervous)
    for event in events:
        play(bot, event)
    for _ in range(40):
        if bot.state.status is NORMAL:
            break
        bot.step(shadow=[True])
    assert bot.state.status is NORMAL


@given(events=EVENTS)
def test_known_failure_4_a_restart_after_any_candle_forgets_nothing(nervous: PerformanceGuard, events: Events) -> None:
    steady, restarted = Bot(nervous), Bot(nervous)
    for event in events:
        play(steady, event)
        play(restarted, event)
        restarted.state = _read_again(restarted.state)
        assert restarted.state == steady.state
    assert restarted.transitions == steady.transitions


def test_it_gets_better_one_step_at_a_time_after_the_cool_down_in_market_time(paused: Bot) -> None:
    paused_at = paused.time
    while paused.state.status is PAUSED:
        assert paused.time < paused_at + 8 * DAY
        paused.step(hours=1, shadow=[True])
    assert paused.time == paused_at + 7 * DAY
    assert paused.transitions[-1] == GuardTransition(
        MarketTime(paused.time),
        "paused",
        "reduced",
        "after 7 days in paused: 10 shadow trades won in a row, at a drawdown of 0.00%",
    )
    reduced_at = paused.time
    while paused.state.status is REDUCED:
        paused.step(hours=1, shadow=[True])
    assert paused.time == reduced_at + 7 * DAY
    assert paused.transitions[-1].after == "normal"


def test_a_win_rate_at_break_even_will_do_and_one_below_it_will_not(paused: Bot) -> None:
    paused.step(hours=7 * 24)
    for won in [True, False, False] * 3 + [False]:
        assert paused.step(hours=1, shadow=[won]) is None
    assert paused.state.shadow.win_rate(10) == pytest.approx(0.3)
    assert paused.step(hours=1, shadow=[True]) is None
    assert paused.step(hours=1, shadow=[True]) is not None
    assert paused.transitions[-1].reason == (
        "after 7 days in paused: the shadow's win rate 40.0% of 10 trades reaches break-even 38.0%,"
        " at a drawdown of 0.00%"
    )


def test_a_shadow_that_lost_too_much_lets_nobody_back_until_that_lies_behind_it(paused: Bot) -> None:
    paused.step(hours=7 * 24)
    for won in (True, False, True, False):
        paused.step(hours=1, shadow=[won])
    assert paused.shadow_equity is not None
    paused.shadow_equity *= 0.88
    for _ in range(3):
        assert paused.step(hours=1, shadow=[True]) is None
    assert paused.state.shadow.drawdown > 0.08
    assert paused.step(hours=1, shadow=[True]) is not None


def test_the_shadow_s_trades_count_from_the_last_move_on(paused: Bot) -> None:
    for _ in range(20):
        paused.step(shadow=[True])
        if paused.transitions[-1].after == "reduced":
            break
    assert paused.state.shadow == ShadowEvidence()
    paused.step(hours=8 * 24)
    assert paused.state.status is REDUCED


def test_a_step_up_measures_afresh_from_where_the_bot_stands(paused: Bot) -> None:
    paused.step(*[False] * 14, hours=7 * 24, shadow=[True] * 4)
    assert paused.state == GuardState(REDUCED, MarketTime(paused.time), peak_equity=800.0, equity=800.0)


def test_paused_again_after_the_step_up_starts_the_cool_down_again(paused: Bot) -> None:
    paused.step(hours=7 * 24, shadow=[True] * 4)
    moved = paused.step(change=-130.0)
    assert moved is not None
    assert (moved.before, moved.after) == ("reduced", "paused")
    assert paused.step(hours=6 * 24, shadow=[True] * 10) is None


def test_an_operator_resumes_one_step_after_the_cool_down(paused: Bot) -> None:
    paused.resume = Resume(1, "I looked at it: the feed was wrong", "ann")
    assert paused.step(hours=6 * 24) is None
    moved = paused.step()
    assert moved == GuardTransition(
        MarketTime(paused.time),
        "paused",
        "reduced",
        "ann resumes after 7 days in paused: I looked at it: the feed was wrong",
    )
    assert paused.step(hours=30 * 24) is None, "one word is one step"
    paused.resume = Resume(2, "go on", "ann")
    moved = paused.step()
    assert moved is not None
    assert moved.after == "normal"


def test_a_word_that_was_given_before_it_got_worse_lifts_nothing(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    bot.step(change=-110.0)
    assert bot.state.status is REDUCED
    bot.resume = Resume(1, "go on as ever", "ann")
    bot.step(hours=24)
    bot.step(change=-100.0)
    assert bot.state.status is PAUSED
    assert bot.step(hours=30 * 24) is None
    bot.resume = Resume(2, "I looked at that, too", "ann")
    assert bot.step() is not None


def test_a_word_does_not_lift_a_step_more_where_another_model_has_done_so(paused: Bot) -> None:
    paused.model_version = "v1"
    paused.step(hours=1)
    paused.resume = Resume(1, "go on", "ann")
    paused.model_version = "v2"
    paused.step(hours=1)
    assert paused.state.status is REDUCED
    assert paused.step(hours=30 * 24) is None


def test_a_resume_that_found_nothing_to_resume_lifts_no_pause_to_come(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    bot.resume = Resume(1, "just in case", "ann")
    bot.step()
    bot.step(change=-200.0)
    assert bot.state.status is PAUSED
    assert bot.step(hours=30 * 24) is None


def test_another_model_brings_its_own_evidence(paused: Bot) -> None:
    paused.model_version = "v1"
    for _ in range(5):
        paused.step(shadow=[True])
    assert paused.state.shadow.wins_in_a_row == 5
    paused.model_version = "v2"
    paused.step()
    assert paused.state.shadow.wins_in_a_row == 0
    paused.model_version = ""
    paused.step(shadow=[True])
    assert (paused.state.model_version, paused.state.shadow.wins_in_a_row) == ("v2", 1)


def test_another_model_takes_a_paused_bot_up_to_reduced_at_once_and_no_further(paused: Bot) -> None:
    paused.model_version = "v1"
    assert paused.step(hours=1) is None, "the first model that is heard of is no other one"
    paused.model_version = "v2"
    moved = paused.step(hours=1)
    assert moved == GuardTransition(MarketTime(paused.time), "paused", "reduced", "another model, v2, instead of v1")
    assert paused.state.peak_equity == paused.equity
    paused.model_version = "v3"
    assert paused.step(hours=1) is None


def test_a_bot_can_be_held_for_a_reason_that_is_not_the_guard_s_own(guard: PerformanceGuard) -> None:
    bot = Bot(guard)
    bot.step()
    held, moved = guard.hold(bot.state, time=MarketTime(bot.time), reason="its model broke its promise")
    assert moved == GuardTransition(MarketTime(bot.time), "normal", "paused", "its model broke its promise")
    assert (held.status, held.since) == (PAUSED, MarketTime(bot.time))
    assert guard.hold(held, time=MarketTime(bot.time + 1), reason="again") == (held, None)


@given(events=EVENTS)
def test_every_move_is_worse_at_once_or_one_step_better_after_the_cool_down_with_numbers_in_its_reason(
    nervous: PerformanceGuard, events: Events
) -> None:
    bot = Bot(nervous)
    since = 0
    for event in events:
        before = bot.state
        moved = play(bot, event)
        steps = bot.state.status.severity - before.status.severity
        assert (moved is None) == (steps == 0)
        assert 0 <= nervous.measures(bot.state).drawdown < 1
        assert len(bot.state.wins) <= nervous.settings.window_trades
        if moved is None:
            continue
        assert re.search(r"\d", moved.reason)
        assert (moved.time.seconds, moved.before, moved.after) == (
            bot.time,
            before.status.value,
            bot.state.status.value,
        )
        assert steps >= -1
        if steps == -1:
            assert bot.time - since >= 2 * DAY
            assert (bot.state.wins, bot.state.losing_streak, bot.state.peak_equity) == ((), 0, bot.equity)
        since = bot.time


class LongHistory(RuleBasedStateMachine):
    """A bot that lives through anything: after every event, a way back to NORMAL is still open, and known."""

    guard: PerformanceGuard

    def __init__(self) -> None:
        super().__init__()
        self.bot = Bot(self.guard)
        self.model = 0

    @rule(change=st.floats(-0.3, 0.2), closed=st.lists(st.booleans(), max_size=4), hours=st.integers(1, 500))
    def trade(self, change: float, closed: list[bool], hours: int) -> None:
        self.bot.step(*closed, change=self.bot.equity * change, hours=hours)

    @precondition(lambda self: self.bot.state.status is not NORMAL)
    @rule(change=st.floats(-0.3, 0.2), shadow=st.lists(st.booleans(), max_size=4), hours=st.integers(1, 500))
    def trade_in_the_shadow(self, change: float, shadow: list[bool], hours: int) -> None:
        assert self.bot.shadow_equity is not None
        self.bot.shadow_equity *= 1 + change
        self.bot.step(hours=hours, shadow=shadow)

    @rule()
    def change_the_model(self) -> None:
        self.model += 1
        self.bot.model_version = f"v{self.model}"

    @rule()
    def resume(self) -> None:
        number = 1 if self.bot.resume is None else self.bot.resume.number + 1
        self.bot.resume = Resume(number, "it looks well", "ann")

    @rule()
    def restart(self) -> None:
        self.bot.state = _read_again(self.bot.state)

    @invariant()
    def an_operator_finds_the_way_back(self) -> None:
        self._finds_back(shadow=(), resumes=True)

    @invariant()
    def good_shadow_trades_find_the_way_back(self) -> None:
        self._finds_back(shadow=(True,), resumes=False)

    def _finds_back(self, *, shadow: tuple[bool, ...], resumes: bool) -> None:
        later = Bot(self.guard)
        later.__dict__.update(self.bot.__dict__)
        later.transitions = []
        for _ in range(30):
            if later.state.status is NORMAL:
                return
            if resumes:
                number = 1 if later.resume is None else later.resume.number + 1
                later.resume = Resume(number, "it looks well", "ann")
            later.step(shadow=shadow)
        raise AssertionError(f"no way back from {self.bot.state}")


@pytest.mark.parametrize("kind", ["nervous", "shipped"])
def test_known_failure_3_over_long_random_histories_no_reachable_state_is_a_dead_end(
    kind: str, nervous: PerformanceGuard, guard: PerformanceGuard
) -> None:
    chosen = nervous if kind == "nervous" else guard

    class History(LongHistory):
        guard = chosen

    run_state_machine_as_test(History, settings=settings(max_examples=25, stateful_step_count=40, deadline=None))


def _read_again(state: GuardState) -> GuardState:
    """Return a state as a restart finds it."""
    return stored.from_plain(GuardState, json.loads(json.dumps(stored.plain(state))), source="a test")
