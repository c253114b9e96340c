"""A champion on probation: it stands it, is taken back, or the bot pauses for want of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.journal.journal import GuardTransition
from nightdesk_core.models.champion import Champion, Standing
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_guard import Evidence, GuardMemory, GuardState, GuardStatus, GuardStep, PerformanceGuard
from nightdesk_guard.settings import GuardSettings, ProbationSettings
from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import EngineState, new_state
from nightdesk_trendbot.live.probation import Probation
from nightdesk_trendbot.live.rotation import ROLLBACK, SETTLEMENT
from pydantic import ValidationError

DAY = 86_400
NOW = 1_600_000_000.0
BREACH = Evidence("v2", signals=40, wins=4, log_e=3.2, largest_log_e=3.2)


class Desk:
    """A registry with a champion on probation, and its judge; the bot has traded with it for a while."""

    def __init__(self, folder: Path, *, predecessors: int = 1) -> None:
        self.now = NOW
        self.registry = ModelRegistry(folder, clock=lambda: WallTime(self.now))
        self.guard = PerformanceGuard(GuardSettings(), break_even_win_rate=0.38)
        self.judge = Probation(
            self.registry,
            oldest_seconds=365 * DAY,
            between_rollbacks_seconds=30 * DAY,
            clock=lambda: WallTime(self.now),
        )
        for _ in range(predecessors):
            self.promote("champion")
        self.champion = self.promote("probation")

    def promote(self, standing: Standing) -> Champion:
        current = self.registry.champion()
        self.now += 1
        staged = self.registry.stage({"model.txt": str(self.now).encode()})
        manifest = self.registry.publish(
            self.registry.seal(
                staged,
                strategy="s",
                train_start=MarketTime(0),
                train_end=MarketTime(1),
                last_label_end=MarketTime(1),
                data_end=MarketTime(1),
                data_fingerprint="",
            )
        )
        before = None if current is None else current.version
        self.champion = self.registry.promote(manifest.version, standing=standing, instead_of=before)
        return self.champion

    def state(self, *, trades: int = 3, days: float = 5, breached: bool = False) -> EngineState:
        version = self.champion.version
        evidence = {version: replace(BREACH, model_version=version)} if breached else {}
        memory = GuardMemory(
            GuardState(model_version=version), evidence, model_since=MarketTime(DAY), model_trades=trades
        )
        return replace(new_state(["S"], 1000.0), guard=memory, last_close=MarketTime(int((1 + days) * DAY)))

    def breach(self) -> StepResult:
        state = self.state(breached=True)
        return result_of(state, breach=state.guard.evidence[self.champion.version])


def result_of(
    state: EngineState, *, breach: Evidence | None = None, moved: GuardTransition | None = None
) -> StepResult:
    """Return a step that ended in a state."""
    return StepResult(state, (), {}, GuardStep(state.last_close, state.guard, moved, breach))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_breach_has_it_taken_back_with_the_numbers(desk: Desk) -> None:
    result, owed = desk.judge.judge(desk.state(), desk.breach(), desk.champion, desk.guard)
    assert result.transition is None
    ((kind, content),) = owed
    assert (kind, content["version"], content["trained_after"]) == (
        ROLLBACK,
        desk.champion.version,
        desk.now - 365 * DAY,
    )
    assert content["reason"] == "it broke its promise on probation: 4 of 40 signals won, e-value 24.5"


def test_without_another_the_bot_pauses(tmp_path: Path) -> None:
    desk = Desk(tmp_path, predecessors=0)
    result, owed = desk.judge.judge(desk.state(), desk.breach(), desk.champion, desk.guard)
    assert owed == ()
    assert result.transition is not None
    assert result.state.guard.status is GuardStatus.PAUSED
    assert result.transition.reason.endswith("; no intact champion before it is young enough")
    again, _ = desk.judge.judge(
        desk.state(), replace(result, guard=replace(result.guard, moved=None)), desk.champion, desk.guard
    )
    assert again.transition is None, "it is paused already"


def test_one_that_is_too_old_is_no_other(desk: Desk) -> None:
    desk.now += 366 * DAY
    result, owed = desk.judge.judge(desk.state(), desk.breach(), desk.champion, desk.guard)
    assert (owed, result.state.guard.status) == ((), GuardStatus.PAUSED)


def test_no_second_one_is_taken_back_within_thirty_days(desk: Desk) -> None:
    taken = desk.champion.version
    desk.registry.roll_back(taken, "it lost")
    desk.now += 29 * DAY
    desk.promote("probation")
    result, owed = desk.judge.judge(desk.state(), desk.breach(), desk.champion, desk.guard)
    assert owed == ()
    assert result.transition is not None
    assert result.transition.reason.endswith(f"; {taken} was taken back only lately")
    desk.now += 2 * DAY
    _, owed = desk.judge.judge(desk.state(), desk.breach(), desk.champion, desk.guard)
    assert [kind for kind, _ in owed] == [ROLLBACK]


def test_a_move_of_the_guard_in_the_same_step_and_the_pause_are_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path, predecessors=0)
    state = desk.state(breached=True)
    memory = replace(state.guard, performance=replace(state.guard.performance, status=GuardStatus.REDUCED))
    moved = GuardTransition(MarketTime(DAY), "normal", "reduced", "losing streak of 10 reaches 10")
    (breach,) = memory.evidence.values()
    result = result_of(replace(state, guard=memory), breach=breach, moved=moved)
    found, _ = desk.judge.judge(desk.state(), result, desk.champion, desk.guard)
    assert found.transition is not None
    assert (found.transition.before, found.transition.after) == ("normal", "paused")
    assert found.transition.reason.startswith("losing streak of 10 reaches 10; it broke its promise")


@pytest.mark.parametrize(("trades", "days"), [(25, 5), (3, 60)])
def test_it_is_settled_once_when_its_last_step_is_over(trades: int, days: float, desk: Desk) -> None:
    stood = result_of(desk.state(trades=trades, days=days))
    _, owed = desk.judge.judge(desk.state(trades=24, days=days - 2), stood, desk.champion, desk.guard)
    assert owed == ((SETTLEMENT, {"version": desk.champion.version}),)
    assert desk.judge.judge(stood.state, stood, desk.champion, desk.guard)[1] == ()


def test_one_that_broke_its_promise_never_stands_it(desk: Desk) -> None:
    result = result_of(desk.state(trades=25, breached=True))
    assert desk.judge.judge(desk.state(trades=24), result, desk.champion, desk.guard) == (result, ())


@pytest.mark.parametrize("standing", ["champion", "provisional"])
def test_only_a_champion_on_probation_is_judged(standing: Standing, desk: Desk) -> None:
    champion = replace(desk.champion, standing=standing)
    result = desk.breach()
    assert desk.judge.judge(desk.state(), result, champion, desk.guard) == (result, ())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shares": [0.5, 0.25]}, "shares must be positive, and rise from step to step"),
        ({"trades": [10]}, "shares, trades and days must be as many"),
        ({"shares": [0.5, 1.5]}, "shares must be at most 1"),
        ({"days": [0, 60]}, "days must be positive"),
    ],
)
def test_steps_that_lead_nowhere_are_refused(values: dict[str, list[float]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ProbationSettings.model_validate(values)
