"""What the guard did of old it does still, whatever it keeps its memory in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guard.histories import FILE, acts, live

LIVED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("journalled", [False, True], ids=["file", "journal"])
@pytest.mark.parametrize("history", LIVED, ids=[str(number) for number in range(len(LIVED))])
def test_a_history_is_lived_as_it_was_before(history: dict[str, Any], journalled: bool, tmp_path: Path) -> None:
    stood, outcome = live(tmp_path, history["acts"], journalled=journalled)
    assert stood == history["stood"]
    assert outcome == history["outcome"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(1000, 2**31))
def test_a_file_and_a_journal_hold_the_same_guard(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    history = list(acts(seed, count=60))
    folder = tmp_path_factory.mktemp("lives")
    assert live(folder / "file", history, journalled=False) == live(folder / "journal", history, journalled=True)
