"""What the job remembers from run to run: when it looked, started, ended, succeeded. Wall time, Unix seconds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nightdesk_core.files import write_json_atomic

_FILE = "retrain.json"


@dataclass(frozen=True)
class JobState:
    """`None` means never. A run that was killed has a start later than its completion."""

    last_check: float | None = None
    last_start: float | None = None
    last_completion: float | None = None
    last_success: float | None = None
    consecutive_failures: int = 0
    consecutive_rejections: int = 0

    def is_due(self, *, now: float, interval_seconds: float) -> bool:
        """Return whether the last completed attempt is older than the interval."""
        return self.last_completion is None or now - self.last_completion >= interval_seconds


def load(state_dir: Path) -> JobState:
    """Return the stored state; a file that is absent or damaged counts as never having run."""
    try:
        return JobState(**json.loads((state_dir / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return JobState()


def save(state_dir: Path, state: JobState) -> None:
    """Store the state atomically."""
    write_json_atomic(state_dir / _FILE, asdict(state))
