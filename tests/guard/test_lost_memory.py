"""A bot of one's own whose guard has lost its memory stays out of the market until a person lets it begin anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from nightdesk_core.audit import AuditLog
from nightdesk_core.errors import NightdeskError
from nightdesk_core.journal.journal import Journal
from nightdesk_exporter import BotExporter
from nightdesk_guard import Guard, KillSwitch, LostState, ResumeFile

SIGNS: dict[str, Callable[[Path], object]] = {
    "a latch that was lifted": lambda folder: (
        KillSwitch(folder).activate("a test", actor="ann"),
        KillSwitch(folder).resume("it is over", actor="ann"),
    ),
    "a latch": lambda folder: KillSwitch(folder).activate("a test", actor="ann"),
    "what the bot told the audit log": lambda folder: AuditLog(folder / "audit.jsonl").append("x", {}, actor="bot"),
    "what a person told it of the bot": lambda folder: AuditLog(folder / "audit.jsonl").append(
        "kill_switch_activated", {}, actor="ann"
    ),
    "an audit log that cannot be read": lambda folder: (folder / "audit.jsonl").write_text("nonsense\n"),
    "a word that it may climb": lambda folder: ResumeFile(folder).give("a test", actor="ann"),
}


def trade(folder: Path, journal: Journal | None = None, reporter: BotExporter | None = None) -> str | None:
    """Run a bot for a moment, and return what blocks it."""
    with Guard(folder, break_even_win_rate=0.4, journal=journal, reporter=reporter) as guard:
        guard.equity(1000.0, leverage=0.0)
        return guard.blocked


def test_a_first_start_asks_nothing_nor_does_any_that_follows(tmp_path: Path) -> None:
    AuditLog(tmp_path / "audit.jsonl").append("rotated", {}, actor="retrain")
    for _ in range(3):
        assert trade(tmp_path) is None
    with Guard(tmp_path / "quiet", break_even_win_rate=0.4):
        pass  # ended before it was shown anything
    KillSwitch(tmp_path / "quiet").activate("a test", actor="ann")
    KillSwitch(tmp_path / "quiet").resume("it is over", actor="ann")
    assert trade(tmp_path / "quiet") is None


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("store", ["file", "journal"])
def test_known_failure_25_a_memory_that_is_gone_while_anything_is_left_keeps_the_bot_out(
    sign: str, store: str, tmp_path: Path
) -> None:
    folder, path = tmp_path / "state", tmp_path / "journal.sqlite"

    def run() -> str | None:
        if store == "file":
            return trade(folder)
        with closing(Journal(path)) as journal:
            return trade(folder, journal)

    assert run() is None
    SIGNS[sign](folder)
    assert run() == ("blocked_kill_switch" if sign == "a latch" else None), "its memory is there"
    for lost in (path, path.with_name("journal.sqlite-head"), folder / "guard_memory.json"):
        lost.unlink(missing_ok=True)
    for _ in range(2):
        assert run() == "blocked_kill_switch"
    assert LostState(folder).pending.startswith("the guard's memory is missing, though ")
    LostState(folder).accept()
    KillSwitch(folder).resume("the account is in order", actor="ann")
    for _ in range(2):
        assert run() is None
    assert not LostState(folder).path.exists()
    with pytest.raises(NightdeskError, match="no state is lost"):
        LostState(folder).accept()


def test_the_exporter_is_told_of_it_and_of_its_end(tmp_path: Path) -> None:
    KillSwitch(tmp_path).activate("a test", actor="ann")
    with BotExporter("mine", symbols=[], port=0) as exporter:
        trade(tmp_path, reporter=exporter)
        assert "state_lost" in [issue.name for issue in exporter.health().issues]
        LostState(tmp_path).accept()
        KillSwitch(tmp_path).resume("it is over", actor="ann")
        trade(tmp_path, reporter=exporter)
        assert exporter.snapshot.state_lost == ""


def test_a_note_that_cannot_be_read_is_not_accepted(tmp_path: Path) -> None:
    lost = LostState(tmp_path)
    lost.path.write_bytes(b"")
    assert lost.pending.startswith("state_lost.json cannot be read")
    assert lost.accept().reason.startswith("state_lost.json cannot be read")
    assert lost.pending == ""
