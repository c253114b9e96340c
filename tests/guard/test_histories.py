"""What the guard did of old it does still, whatever it keeps its memory in."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.files import stored

from tests.guard.engine_life import EngineLife
from tests.guard.histories import FILE, Act, acts, as_stored, live

LIVED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("journalled", [False, True], ids=["file", "journal"])
@pytest.mark.parametrize("history", LIVED, ids=[str(number) for number in range(len(LIVED))])
def test_a_history_is_lived_as_it_was_before(history: dict[str, Any], journalled: bool, tmp_path: Path) -> None:
    stood, outcome = live(tmp_path, history["acts"], journalled=journalled)
    assert stood == history["stood"]
    assert outcome == history["outcome"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(1000, 2**31))
def test_a_file_and_a_journal_hold_the_same_guard(seed: int) -> None:
    history = list(acts(seed, count=60))
    with TemporaryDirectory() as file, TemporaryDirectory() as journal:
        assert live(Path(file), history, journalled=False) == live(Path(journal), history, journalled=True)


@pytest.mark.parametrize("history", LIVED, ids=[str(number) for number in range(len(LIVED))])
def test_an_engine_over_its_journal_lives_what_a_bot_of_one_s_own_lives(
    history: dict[str, Any], tmp_path: Path
) -> None:
    assert engine_s(tmp_path, history["acts"]) == (history["outcome"]["audit"], history["outcome"]["switch"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(1000, 2**31))
def test_random_histories_lead_to_the_same_moves_kills_and_notices_in_both_stores(seed: int) -> None:
    history = list(acts(seed, count=60))
    with TemporaryDirectory() as small, TemporaryDirectory() as journal:
        _, outcome = live(Path(small), history, journalled=False)
        assert engine_s(Path(journal), history) == (outcome["audit"], outcome["switch"])


def engine_s(folder: Path, history: list[Act]) -> tuple[Any, Any]:
    """Return what an engine's guard told others of a history, and how its kill switch ended."""
    life = EngineLife(folder)
    try:
        for act in history:
            life.do(act)
        return as_stored(life.told_to_others()), as_stored(stored.plain(life.switch.state()))
    finally:
        life.close()
