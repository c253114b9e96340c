"""What the bot owes the audit log and the retrain job: told at least once, in order, whatever happens between."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from nightdesk_core import audit
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime
from nightdesk_core.files.durable import locked
from nightdesk_core.journal.journal import GuardTransition, Journal
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_guard import Evidence, GuardMemory, GuardParts, GuardRuntime, GuardStep, KillLimits, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.engine.engine import StepResult
from nightdesk_trendbot.engine.state import new_state
from nightdesk_trendbot.live.guard_store import JournalGuardStore
from nightdesk_trendbot.live.record import record
from nightdesk_trendbot.live.rotation import ROLLBACK, SETTLEMENT, Rotation


class Desk:
    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "btc.sqlite")
        self.audit = AuditLog(folder / "audit.jsonl")
        self.requests = RetrainRequests(folder, self.audit)
        self.registry = ModelRegistry(folder / "models")
        self.told: list[Champion] = []
        self.guard = GuardRuntime(
            GuardParts(
                state_dir=folder,
                performance=PerformanceGuard(GuardSettings(), break_even_win_rate=0.38),
                kill_limits=KillLimits(),
                store=JournalGuardStore(self.journal, GuardMemory()),
                requests=self.requests,
                audit=self.audit,
                handlers=Rotation(self.registry, self.audit, rolled_back=self.told.append).handlers,
                retry_seconds=0.0,
                tests_itself=False,
            )
        )

    def take(self, step: GuardStep) -> None:
        """Keep a step of the policy and the engine's state after it."""
        with self.guard.take(step):
            state = new_state(["S"], 1000.0)
            record(self.journal, StepResult(state, (), {}, step), before=state, keep_equity_seconds=math.inf)

    def events(self) -> list[str]:
        return [entry.event for entry in self.audit.entries()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def step(*, before: str = "normal", after: str = "reduced", breach: Evidence | None = None) -> GuardStep:
    moved = GuardTransition(MarketTime(7200), before, after, "losing streak of 10 reaches 10")
    return GuardStep(MarketTime(7200), GuardMemory(), moved, breach)


async def test_a_guard_that_gets_worse_is_audited_and_asks_for_a_retrain(desk: Desk) -> None:
    desk.take(step())
    await desk.guard.tell_in_background()
    assert desk.events() == ["guard_transition", "retrain_requested"]
    (entry, _) = desk.audit.entries()
    assert entry.actor == "bot"
    assert entry.details == {
        "time": 7200,
        "before": "normal",
        "after": "reduced",
        "reason": "losing streak of 10 reaches 10",
    }
    (request,) = desk.requests.pending()
    assert request.cause == "guard"
    assert request.reason == "the guard went from normal to reduced: losing streak of 10 reaches 10"
    assert desk.journal.outbox() == []


async def test_one_that_gets_better_is_audited_and_asks_for_nothing(desk: Desk) -> None:
    desk.take(step(before="reduced", after="normal"))
    await desk.guard.tell_in_background()
    assert desk.events() == ["guard_transition"]
    assert desk.requests.pending() == []


async def test_a_breach_is_audited_and_asks_for_a_retrain_with_its_numbers(desk: Desk) -> None:
    found = Evidence("v7", signals=40, wins=5, log_e=3.1, largest_log_e=3.1)
    desk.take(step(before="reduced", after="normal", breach=found))
    await desk.guard.tell_in_background()
    assert desk.events() == ["guard_transition", "expectation_breached", "retrain_requested"]
    (request,) = desk.requests.pending()
    assert request.cause == "expectation"
    assert request.reason == "v7 wins less than its hold-out promised: 5 of 40 signals, e-value 22.2"


async def test_killed_between_telling_and_noting_it_tells_again_and_asks_for_no_second_retrain(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take(step())

    def die(_posted: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.journal, "told", die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            await desk.guard.tell_in_background()
    monkeypatch.undo()
    await desk.guard.tell_in_background()
    assert desk.events() == ["guard_transition"] * 3 + ["retrain_requested"]
    (request,) = desk.requests.pending()
    assert request.count == 1
    desk.audit.verify()


async def test_what_cannot_be_told_now_waits_in_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "_LOCK_SECONDS", 0.02)
    desk.take(step())
    desk.take(step(before="reduced", after="paused"))
    with locked(desk.audit.path.with_name("audit.jsonl.lock"), timeout_seconds=0):
        await desk.guard.tell_in_background()
        await desk.guard.tell_in_background()
    assert len(desk.journal.outbox()) == 4
    await desk.guard.tell_in_background()
    moves = [entry.details["after"] for entry in desk.audit.entries() if entry.event == "guard_transition"]
    assert moves == ["reduced", "paused"]


async def test_a_transaction_that_fails_posts_nothing(desk: Desk) -> None:
    def post_and_fail() -> None:
        with desk.journal.transaction():
            desk.journal.post("audit", {"event": "e", "details": {}})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        post_and_fail()
    assert desk.journal.outbox() == []


def promoted(desk: Desk) -> tuple[str, str]:
    """Have a champion, and another on probation after it; return both versions."""
    versions = []
    for content in (b"first", b"second"):
        staged = desk.registry.stage({"model.txt": content})
        manifest = desk.registry.publish(
            desk.registry.seal(
                staged,
                strategy="s",
                train_start=MarketTime(0),
                train_end=MarketTime(1),
                last_label_end=MarketTime(1),
                data_end=MarketTime(1),
                data_fingerprint="",
            )
        )
        versions.append(manifest.version)
    desk.registry.promote(versions[0], standing="champion", instead_of=None)
    desk.registry.promote(versions[1], standing="probation", instead_of=versions[0])
    return versions[0], versions[1]


async def test_a_rollback_is_done_audited_and_told_once_though_the_bot_is_killed_in_between(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = promoted(desk)
    with desk.journal.transaction():
        desk.journal.post(ROLLBACK, {"version": second, "reason": "it lost", "trained_after": 0.0})

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.audit, "append", die)
    with pytest.raises(KeyboardInterrupt):
        await desk.guard.tell_in_background()
    assert desk.registry.champion() is not None
    monkeypatch.undo()
    await desk.guard.tell_in_background()
    champion = desk.registry.champion()
    assert champion is not None
    assert (champion.version, champion.standing) == (first, "champion")
    assert desk.events() == ["rolled_back"]
    assert desk.told == [champion]
    with desk.journal.transaction():
        desk.journal.post(ROLLBACK, {"version": first, "reason": "it lost, too", "trained_after": 0.0})
    await desk.guard.tell_in_background()
    assert desk.registry.champion() == champion, "there is no other one"
    assert desk.events() == ["rolled_back"]


async def test_a_model_that_stood_its_probation_is_settled_and_one_that_is_gone_is_not(desk: Desk) -> None:
    first, second = promoted(desk)
    with desk.journal.transaction():
        desk.journal.post(SETTLEMENT, {"version": second})
        desk.journal.post(SETTLEMENT, {"version": first})
    await desk.guard.tell_in_background()
    champion = desk.registry.champion()
    assert champion is not None
    assert (champion.version, champion.standing) == (second, "champion")
    assert desk.events() == ["probation_stood"]
    assert desk.journal.outbox() == []
