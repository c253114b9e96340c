"""A bot of one's own that loses its audit log says so, by its guard alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nightdesk_exporter import BotExporter

from tests.guard.own_bot import OwnBot, Told, own_bot

MINUTE = 1 / 1440


def complaint(exporter: BotExporter) -> str | None:
    said = exporter.snapshot.audit_missing
    assert bool(said) == any(issue.name == "audit_missing" for issue in exporter.health().issues)
    return said or None


def delete_all(bot: OwnBot) -> None:
    for path in bot.state_dir.glob("audit.jsonl*"):
        path.unlink()


def cut(bot: OwnBot) -> None:
    first, *_ = bot.audit.path.read_bytes().splitlines(keepends=True)
    bot.audit.path.write_bytes(first)


LOSSES: dict[str, Callable[[OwnBot], object]] = {
    "deleted": lambda bot: bot.audit.path.unlink(),
    "deleted with its anchor": delete_all,
    "cut": cut,
    "nonsense": lambda bot: bot.audit.path.write_text("nonsense\n"),
}


@pytest.mark.parametrize("how", LOSSES)
def test_a_guard_tells_the_exporter_that_its_audit_log_is_lost_and_that_it_is_renewed(how: str, tmp_path: Path) -> None:
    with BotExporter("mine", symbols=[], port=0) as exporter, own_bot(tmp_path, reporter=exporter) as bot:
        bot.audit.append("one", {}, actor="ann")
        bot.audit.append("two", {}, actor="ann")
        bot.see(days=MINUTE)
        assert complaint(exporter) is None
        assert exporter.snapshot.gauges["audit_entries",] == 2
        bot.audit.append("three", {}, actor="ann")
        LOSSES[how](bot)
        bot.see(days=MINUTE)
        assert "audit.jsonl" in (complaint(exporter) or "")
        if how != "deleted with its anchor":  # else only this process knows that there is anything to renew
            bot.audit.renew("a test", actor="ann")
            bot.see(days=MINUTE)
            assert complaint(exporter) is None
            assert exporter.snapshot.gauges["audit_entries",] == 1


def test_a_log_that_was_lost_before_the_start_is_told_of_at_the_start(tmp_path: Path) -> None:
    with own_bot(tmp_path) as bot:
        bot.audit.append("one", {}, actor="ann")
        bot.audit.path.unlink()
    with BotExporter("mine", symbols=[], port=0) as exporter, own_bot(tmp_path, reporter=exporter):
        assert complaint(exporter) is not None


def test_a_reporter_that_was_written_before_there_was_such_a_thing_is_told_nothing_of_it(tmp_path: Path) -> None:
    told = Told()
    with own_bot(tmp_path, reporter=told) as bot:
        bot.audit.append("one", {}, actor="ann")
        bot.audit.path.unlink()
        bot.see(days=MINUTE)
    assert told.count("guard") > 0
