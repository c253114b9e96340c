"""What the job remembers from run to run: when it looked, started, ended, succeeded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from nightdesk_core.age import age_seconds, is_ahead
from nightdesk_core.backoff import backoff_seconds
from nightdesk_core.clock import WallTime
from nightdesk_core.files import stored
from nightdesk_core.files.durable import locked, write_json_atomic
from nightdesk_core.files.reader import InputError

_FILE = "retrain.json"
_LOCK_SECONDS = 10.0
_RETRIES_AN_INTERVAL = 30


@dataclass(frozen=True)
class JobState:
    """`None` means never. A run that was killed has a start later than its completion."""

    last_check: WallTime | None = None
    last_start: WallTime | None = None
    last_completion: WallTime | None = None
    last_success: WallTime | None = None
    consecutive_failures: int = 0
    consecutive_rejections: int = 0

    def is_due(self, *, now: WallTime, interval_seconds: float, requested: bool = False) -> bool:
        """Return whether the last completed attempt is older than the interval, or a retrain is `requested`.

        One that failed is tried again after a thirtieth of it (a day, for monthly retrains), then after twice that, and
        so on up to the interval: a data outage must not cost a month, nor a broken strategy a training every day. A
        request waits as long after a failure, or it would be tried at every look; a run that was killed counts as one.
        A time in the future counts as long past: the run whose clock was wrong must not be the last for years.
        """
        if self.last_completion is None:
            return True
        last_start = self.last_start or self.last_completion
        cut_off = last_start > self.last_completion
        last = max(last_start, self.last_completion)
        again = age_seconds(last, now=now) >= self._retry_seconds(interval_seconds)
        if requested:
            return again or not (cut_off or self.consecutive_failures)
        if age_seconds(self.last_completion, now=now) >= interval_seconds:
            return True
        # Also one that a request began, and whose verdict has answered it: what it promised is yet to be done.
        return again and (cut_off or self.consecutive_failures > 0)

    def ahead(self, now: WallTime) -> dict[str, WallTime]:
        """Return the times that lie in the future, by their names."""
        times = (self.last_check, self.last_start, self.last_completion, self.last_success)
        names = ("last_check", "last_start", "last_completion", "last_success")
        return {name: at for name, at in zip(names, times, strict=True) if at is not None and is_ahead(at, now=now)}

    def _retry_seconds(self, interval_seconds: float) -> float:
        """Return how long to wait after a run that failed or was killed."""
        return backoff_seconds(
            max(self.consecutive_failures - 1, 0),
            first_seconds=interval_seconds / _RETRIES_AN_INTERVAL,
            longest_seconds=interval_seconds,
        )


def load(state_dir: Path) -> JobState:
    """Return the stored state; a file that is absent or damaged counts as never having run."""
    try:
        return stored.read(JobState, state_dir / _FILE)
    except InputError:
        return JobState()


def update(state_dir: Path, **changes: WallTime | int) -> JobState:
    """Change fields of the stored state and return it. Schedule and job may do so at once: each keeps the other's."""
    with locked(state_dir / f".{_FILE}.lock", timeout_seconds=_LOCK_SECONDS):
        state = replace(load(state_dir), **cast("dict[str, Any]", changes))
        write_json_atomic(state_dir / _FILE, stored.plain(state))
    return state
