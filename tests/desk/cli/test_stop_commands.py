"""`nightdesk kill` and `nightdesk resume`: the latch, the guard's steps back, and what the audit log keeps of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nightdesk.cli.main import app
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal
from nightdesk_guard import Guard, GuardMemory, GuardState, GuardStatus, KillSwitch, ResumeFile
from nightdesk_trendbot.engine.state import new_state
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from typer.testing import CliRunner


class Desk:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "nightdesk.yml"
        self.file.write_text("home: .\nbot: {name: btc}\n")
        self.state_dir = folder / "state"
        self.state_dir.mkdir()
        (self.state_dir / "guard.lock").touch()  # a bot has run here, and is stopped
        self.switch = KillSwitch(self.state_dir)

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["--settings", str(self.file), *arguments])

    def said(self, *arguments: str) -> list[str]:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        lines: list[str] = done.stdout.splitlines()
        return lines

    def events(self) -> list[str]:
        return [entry.event for entry in AuditLog(self.state_dir / "audit.jsonl").entries()]

    def guard(self, status: GuardStatus) -> None:
        """Have the bot's journal end with its guard in a status."""
        self.state_dir.mkdir(exist_ok=True)
        journal = Journal(self.state_dir / "btc.sqlite")
        state = replace(
            new_state(["S"], 1000.0), guard=GuardMemory(GuardState(status, since=MarketTime(1_500_000_000)))
        )
        journal.save(STATE_KEY, stored.plain(state))
        journal.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("options", "positions", "what"),
    [
        ([], "close", "closed at fresh prices"),
        (["--positions", "keep"], "keep", "left to their barriers"),
    ],
)
def test_kill_latches_the_switch_and_says_what_becomes_of_positions(
    options: list[str], positions: str, what: str, desk: Desk
) -> None:
    lines = desk.said("kill", "--reason", "nonsense quotes", *options)
    assert lines == [
        "the kill switch of btc is latched: nonsense quotes",
        f"open positions are {what}; nothing is entered until `nightdesk resume --reason ...`",
        "btc is not running: it will stay out of the market when it starts",
    ]
    state = desk.switch.state()
    assert (state.active, state.reason, state.positions) == (True, "nonsense quotes", positions)
    assert desk.events() == ["kill_switch_activated"]


def test_resume_lifts_an_active_switch_and_removes_the_file_kill(desk: Desk) -> None:
    desk.switch.kill_file.touch()
    assert desk.said("resume", "--reason", "it was a drill") == ["the kill switch of btc is lifted: it may enter again"]
    assert not desk.switch.state().active
    assert desk.events() == ["kill_switch_lifted"]


@pytest.mark.parametrize("status", [None, GuardStatus.NORMAL])
def test_with_nothing_to_resume_it_says_so(status: GuardStatus | None, desk: Desk) -> None:
    if status is not None:
        desk.guard(status)
    done = desk.run("resume", "--reason", "why not")
    assert isinstance(done.exception, NightdeskError)
    assert str(done.exception) == "the kill switch is not active: there is nothing to resume"
    assert desk.events() == []


@pytest.mark.parametrize(("status", "better"), [(GuardStatus.PAUSED, "reduced"), (GuardStatus.REDUCED, "normal")])
def test_with_the_guard_holding_the_bot_back_it_lets_that_climb_one_step(
    status: GuardStatus, better: str, desk: Desk
) -> None:
    desk.guard(status)
    assert desk.said("resume", "--reason", "the feed was wrong") == [
        f"the guard of btc climbs from {status} to {better} at its first candle from 2017-07-21T02:40:00Z on"
        " (market time)"
    ]
    word = ResumeFile(desk.state_dir).last()
    assert word is not None
    assert word.reason == "the feed was wrong"
    assert desk.events() == ["guard_resume_given"]


def test_a_journal_that_cannot_be_read_keeps_nobody_from_lifting_the_switch(desk: Desk) -> None:
    desk.switch.activate("the journal was damaged", actor="bot")
    (desk.state_dir / "btc.sqlite").write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    done = desk.run("resume", "--reason", "I look after it")
    assert not desk.switch.state().active
    assert desk.events() == ["kill_switch_lifted"]
    assert isinstance(done.exception, NightdeskError), "what the guard does is not known, and it says so"
    assert "btc.sqlite" in str(done.exception)


def test_the_switch_comes_before_the_guard(desk: Desk) -> None:
    desk.guard(GuardStatus.PAUSED)
    desk.switch.activate("a test", actor="ann")
    assert desk.said("resume", "--reason", "it is over") == [
        "the kill switch of btc is lifted: it may enter again",
        "its guard is paused: `nightdesk resume` once more lets that climb, too",
    ]
    assert ResumeFile(desk.state_dir).last() is None
    assert not desk.switch.state().active


@pytest.mark.parametrize("journalled", [False, True])
def test_resume_lets_the_guard_of_a_bot_of_one_s_own_climb(journalled: bool, desk: Desk) -> None:
    journal = Journal(desk.state_dir / "btc.sqlite") if journalled else None
    with Guard(desk.state_dir, break_even_win_rate=0.4, journal=journal) as guard:
        for _ in range(14):
            guard.trade(profit=-10.0, risk=10.0)
        guard.equity(1000.0, leverage=0.0, time=1_500_000_000)
        said = desk.said("resume", "--reason", "the feed was wrong")
        assert said == [
            "the guard of btc climbs from paused to reduced at its first candle from 2017-07-21T02:40:00Z on"
            " (market time)"
        ]
        assert guard.equity(1000.0, leverage=0.0, time=1_500_000_000 + 7 * 86_400) is GuardStatus.REDUCED
    if journal is not None:
        journal.close()
