"""What the reference bot's guard and kill switch did of old they do still, and a stranger's guard does the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trendbot.live.histories import FILE, acts, brief, live

LIVED = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("history", LIVED, ids=[str(history["seed"]) for history in LIVED])
def test_a_history_is_lived_as_it_was_before(history: dict[str, Any], tmp_path: Path) -> None:
    stood, outcome = live(tmp_path, acts(history["seed"]))
    assert stood == history["stood"]
    assert brief(outcome) == history["outcome"]
