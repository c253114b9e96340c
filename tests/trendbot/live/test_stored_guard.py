"""How the guard stands, read from a journal without the rest of the engine's state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.files import stored
from nightdesk_core.files.stored import StoredError
from nightdesk_core.journal.journal import Journal
from nightdesk_trendbot.engine.state import new_state, read_state
from nightdesk_trendbot.live import guard_memory
from nightdesk_trendbot.live.journal_keys import STATE_KEY

FIRST_FORMAT = Path(__file__).parents[1] / "engine" / "formats" / "first_engine_state.json"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "btc.sqlite")
    yield journal
    journal.close()


def test_a_journal_without_a_state_says_nothing(journal: Journal) -> None:
    assert guard_memory(journal) is None


@pytest.mark.parametrize("content", [json.loads(FIRST_FORMAT.read_text()), stored.plain(new_state(["S"], 1000.0))])
def test_it_is_what_the_whole_state_holds_in_either_form(content: Any, journal: Journal) -> None:
    journal.save(STATE_KEY, content)
    assert guard_memory(journal) == read_state(content, source="the journal").guard


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"guard": {"performance": {}}}, "guard: .*; evidence: is missing"),
        ({"cash": 1.0}, "guard: holds null"),
        ([], "guard: holds null"),
    ],
)
def test_one_that_lacks_anything_is_refused(content: Any, problem: str, journal: Journal) -> None:
    journal.save(STATE_KEY, content)
    with pytest.raises(StoredError, match=f"btc.sqlite: .*{problem}"):
        guard_memory(journal)
