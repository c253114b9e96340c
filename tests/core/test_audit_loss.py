"""An audit log that is gone, cut or replaced, against its anchors, until a person renews it."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from nightdesk_core import audit
from nightdesk_core.audit import RENEWED, AuditError, AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import durable as files
from nightdesk_core.files import permissions

from tests.campaigns import SEED, cases
from tests.killing import killed_at

ENTRIES = 5


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return filled(tmp_path)


def filled(folder: Path, count: int = ENTRIES) -> AuditLog:
    times = iter(range(1_571_300_000, 1_571_400_000))
    log = AuditLog(folder / "audit.jsonl", clock=lambda: WallTime(float(next(times))))
    for number in range(count):
        log.append("counted", {"number": number}, actor="bot")
    return log


def lines(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def cut(log: AuditLog) -> None:
    log.path.write_bytes(b"".join(lines(log)[:-1]))


def cut_within_a_line(log: AuditLog) -> None:
    os.truncate(log.path, log.path.stat().st_size - 7)


def empty(log: AuditLog) -> None:
    log.path.write_bytes(b"")


def link(log: AuditLog) -> None:
    log.path.rename(log.path.with_name("elsewhere"))
    log.path.symlink_to("elsewhere")


def dangling_link(log: AuditLog) -> None:
    log.path.unlink()
    log.path.symlink_to("nowhere")


def folder(log: AuditLog) -> None:
    log.path.unlink()
    log.path.mkdir()


def pipe(log: AuditLog) -> None:
    log.path.unlink()
    os.mkfifo(log.path)


def another(log: AuditLog) -> None:
    """Put a log in its place whose chain is intact and that is as long."""
    other = filled(log.path.parent / "other", ENTRIES - 1)
    other.append("forged", {}, actor="mallory")
    shutil.copy(other.path, log.path)


LOSSES: dict[str, Callable[[AuditLog], None]] = {
    "gone": lambda log: log.path.unlink(),
    "emptied": empty,
    "cut": cut,
    "cut within a line": cut_within_a_line,
    "replaced by another": another,
    "replaced by a link": link,
    "replaced by a dangling link": dangling_link,
    "replaced by a folder": folder,
    "replaced by a pipe": pipe,
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("anchored", ["beside the log", "elsewhere"])
def test_a_loss_is_found_takes_no_entry_and_ends_when_a_person_renews_the_log(
    loss: str, anchored: str, log: AuditLog
) -> None:
    anchor = log.path.with_name("audit.jsonl.anchor")
    noted = [log.head()] if anchored == "elsewhere" else []
    LOSSES[loss](log)
    if noted:
        anchor.unlink()
    with pytest.raises(AuditError, match=r"nightdesk audit renew --reason"):
        log.refuse_loss(noted)
    if not noted:
        with pytest.raises(AuditError, match=r"nightdesk audit renew --reason"):
            log.append("counted", {}, actor="bot")
    with pytest.raises(AuditError):
        log.verify((*log.anchors, *noted))

    head = log.renew("the disk was cleaned", actor="ann", anchors=noted)
    (entry,) = log.entries()
    assert (entry.event, entry.actor, entry.seq) == (RENEWED, "ann", 1)
    assert entry.details["reason"] == "the disk was cleaned"
    assert [lost["length"] for lost in entry.details["lost"]] == [ENTRIES]
    kept = entry.details["kept_as"]
    assert (kept is None) == (loss == "gone")
    assert kept is None or os.path.lexists(log.path.with_name(kept))
    assert log.refuse_loss(noted) == log.verify((*log.anchors, *noted)) == head, (
        "what was lost is no complaint any more"
    )
    assert log.append("counted", {}, actor="bot").length == 2
    with pytest.raises(NightdeskError, match="holds all that was anchored"):
        log.renew("once more", actor="ann", anchors=noted)
    cut(log)
    with pytest.raises(AuditError):
        log.refuse_loss(noted)


def test_a_log_that_never_had_an_anchor_gets_one_with_its_next_entry(log: AuditLog) -> None:
    """So does one that an earlier release wrote."""
    anchor = log.path.with_name("audit.jsonl.anchor")
    anchor.unlink()
    assert log.refuse_loss() == log.head()
    head = log.append("counted", {}, actor="bot")
    assert log.anchors == (head,)
    anchor.write_bytes(b"")
    assert log.append("counted", {}, actor="bot").length == ENTRIES + 2
    assert log.anchors == (log.head(),)


def test_a_log_that_grew_since_is_none_that_is_lost(log: AuditLog) -> None:
    before = log.path.with_name("audit.jsonl.anchor").read_bytes()
    log.append("counted", {}, actor="bot")
    log.path.with_name("audit.jsonl.anchor").write_bytes(before)
    assert log.refuse_loss().length == ENTRIES + 1
    assert log.append("counted", {}, actor="bot").length == ENTRIES + 2


def test_renewing_needs_a_reason(log: AuditLog) -> None:
    log.path.unlink()
    with pytest.raises(NightdeskError, match="a reason is needed"):
        log.renew(" ", actor="ann")


@pytest.mark.kills
def test_killed_at_any_moment_of_an_entry_the_log_is_never_taken_for_lost(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    modules = (audit, files, permissions)
    for number in range(cases(sample=20, campaign=1000)):
        log = filled(tmp_path / str(number), 2)
        kill_at = draw.randrange(1, 160)
        killed = killed_at(kill_at, modules, lambda log=log: log.append("counted", {}, actor="bot"))  # type: ignore[misc]
        said = f"seed {SEED}, case {number}, killed at line {kill_at}: {killed}"
        assert log.refuse_loss().length in (2, 3), said
        assert log.append("counted", {}, actor="bot").length >= 3, said
        log.verify(log.anchors)


@pytest.mark.kills
def test_killed_at_any_moment_of_a_renewal_it_is_renewed_or_still_lost(tmp_path: Path) -> None:
    draw = random.Random(SEED + 1)
    modules = (audit, files, permissions)
    for number in range(cases(sample=20, campaign=1000)):
        log = filled(tmp_path / str(number), 2)
        cut(log)
        kill_at = draw.randrange(1, 220)
        killed_at(kill_at, modules, lambda log=log: log.renew("a test", actor="ann"))  # type: ignore[misc]
        said = f"seed {SEED}, case {number}, killed at line {kill_at}"
        try:
            log.refuse_loss()
        except AuditError:
            log.renew("a test", actor="ann")
        assert next(log.entries()).event == RENEWED, said
        log.verify(log.anchors)
