"""Whether a retrain is due. It is asked often, so it loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.clock import WallClock, system_clock

from nightdesk_retrain import state as states
from nightdesk_retrain.publish import Report, push


def look(state_dir: Path, *, bot: str, gateway: str, interval_seconds: float, clock: WallClock = system_clock) -> bool:
    """Note that the schedule looked, push that it did, and return whether a retrain is due.

    `gateway` is the Pushgateway's host:port, empty for none.
    """
    now = clock()
    state = states.update(state_dir, last_check=now)
    if gateway:
        push(Report(state, interval_seconds), gateway=gateway, bot=bot)
    return state.is_due(now=now, interval_seconds=interval_seconds)
