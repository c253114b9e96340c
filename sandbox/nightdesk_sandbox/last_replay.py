"""The replay as its last run left it: whether an exchange that is started now can go on from there."""

from __future__ import annotations

from pathlib import Path

from nightdesk_sandbox.position import ReplayPosition
from nightdesk_sandbox.recordings.markets import load_markets
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.settings import SandboxSettings


def why_anew(settings: SandboxSettings, *, home: Path) -> str:
    """Return why the replay, as its last run left it, cannot go on; nothing where it can.

    The candles are fetched here where they are not on disk yet. Raises `CandlesError` or `PositionError`.
    """
    candles = next(iter(load_markets(settings, home=home).values()))
    start = replay_start(candles, settings.replay_days)
    position = ReplayPosition.of(candles, start=start, folder=home / settings.state_dir)
    if position.is_another_s:
        return "the last replay was of another market"
    return "the last replay was over" if position.load() >= candles.end else ""
