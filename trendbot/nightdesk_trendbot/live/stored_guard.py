"""How the guard of a bot that does not run stands, from its journal. Loads no numbers: `nightdesk resume` asks."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal
from nightdesk_guard import GuardMemory

from nightdesk_trendbot.engine.stored_form import present_form
from nightdesk_trendbot.live.journal_keys import STATE_KEY


def guard_memory(journal: Journal) -> GuardMemory | None:
    """Return what the guard goes on from; `None` where the journal is not of this bot, or holds no candle yet.

    Raises `StoredError` where it lacks anything. The rest of the engine's state is not looked at.
    """
    state = present_form(journal.load(STATE_KEY))
    if state is None:
        return None
    kept = state.get("guard") if isinstance(state, Mapping) else None
    return stored.from_plain(GuardMemory, kept, source=f"{journal.path}: guard", complete=True)
