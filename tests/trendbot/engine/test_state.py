"""The engine's state as the journal keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.files import stored
from nightdesk_core.files.stored import StoredError
from nightdesk_guard import GuardStatus
from nightdesk_trendbot.engine.state import new_state, read_state

from tests.trendbot.engine_desk import SYMBOL

FIRST_FORMAT = Path(__file__).with_name("formats") / "first_engine_state.json"


def test_what_an_earlier_release_stored_is_read() -> None:
    content = json.loads(FIRST_FORMAT.read_text())
    state = read_state(content, source="the journal")
    assert state.guard.status is GuardStatus.PAUSED
    assert (state.guard.model_version, state.guard.model_since) == ("v1", MarketTime(content["model_since"]))
    assert (state.guard.model_trades, state.guard.evidence["v1"].signals) == (2, 3)
    assert state.equity == content["equity"]
    assert state.books[SYMBOL].account[0] == content["books"][SYMBOL]["account"][0]
    assert state.shadow is not None
    assert state.shadow.equity == content["shadow"]["equity"]
    assert read_state(stored.plain(state), source="the journal") == state


@pytest.mark.parametrize("key", ["guard", "books", "cash", "equity", "last_close", "shadow"])
def test_a_state_that_lacks_anything_is_refused(key: str) -> None:
    content = stored.plain(new_state([SYMBOL], 1000.0))
    del content[key]
    with pytest.raises(StoredError, match=f"{key}: is missing"):
        read_state(content, source="the journal")
