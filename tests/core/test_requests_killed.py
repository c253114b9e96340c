"""A request survives a SIGKILL at any line of its writing: it is there as a whole or, told again, still only once."""

from __future__ import annotations

import itertools
from pathlib import Path

from nightdesk_core.audit import AuditLog
from nightdesk_core.files import durable as files
from nightdesk_core.models import requests
from nightdesk_core.models.requests import RetrainRequests

from tests.killing import killed_at

MODULES = (requests, files)


def requests_in(folder: Path) -> RetrainRequests:
    return RetrainRequests(folder, AuditLog(folder / "audit.jsonl"))


def test_killed_at_any_line_a_request_that_is_told_again_is_there_once_and_no_other_was_lost(tmp_path: Path) -> None:
    kept: set[int] = set()
    for line in itertools.count(1):
        folder = tmp_path / str(line)
        before = requests_in(folder).add("expectation", "e-value 21", "bot", at=1.0)

        def ask(folder: Path = folder) -> object:
            return requests_in(folder).add("guard", "paused", "bot", at=2.0)

        killed = killed_at(line, MODULES, ask)
        expectation, *guard = requests_in(folder).pending()
        assert expectation == before
        kept.add(len(guard))
        if not killed:
            break
        ask()
        assert [request.count for request in requests_in(folder).pending()] == [1, 1]
        AuditLog(folder / "audit.jsonl").verify()
    assert line > 60, "the kills fell on all of it"
    assert kept == {0, 1}, "some kills came before the request was stored and some after"


def test_killed_at_any_line_a_damaged_file_still_ends_as_one_request(tmp_path: Path) -> None:
    for line in itertools.count(1):
        folder = tmp_path / str(line)
        folder.mkdir()
        (folder / requests.FILE_NAME).write_text("{")
        killed = killed_at(line, MODULES, requests_in(folder).pending)
        assert [request.cause for request in requests_in(folder).pending()] == ["manual"]
        (aside,) = folder.glob(f"{requests.FILE_NAME}.damaged-*")
        assert aside.read_text() == "{"
        if not killed:
            break
    assert line > 60
