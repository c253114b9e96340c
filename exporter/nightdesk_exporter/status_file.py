"""`bot_status.json`: each writer replaces its own sections, under a lock, atomically.

Each section has `updated_at` and `stale_after` (Unix seconds of wall time): a reader judges liveness by them, so that a
dead bot's section does not look alive because the job wrote its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightdesk_core.age import is_ahead
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import locked, write_json_atomic
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError

SCHEMA_VERSION = 1
_LOCK_SECONDS = 0.2


def is_stale(section: Mapping[str, Any], *, now: WallTime) -> bool:
    """Return whether a section's writer has gone silent, does not say, or wrote it with a clock that was ahead."""
    written, stale_after = section.get("updated_at"), section.get("stale_after")
    if not isinstance(written, (int, float)) or not isinstance(stale_after, (int, float)):
        return True
    return not now.seconds <= stale_after or is_ahead(WallTime(written), now=now)


class StatusFile:
    """One status file, shared by bot and job."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, Any]:
        """Return the file's content, or an empty document where there is none or it is not ours."""
        try:
            content = read_json(self.path)
        except InputError:
            return {"schema_version": SCHEMA_VERSION}
        if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
            return {"schema_version": SCHEMA_VERSION}
        return content

    def replace(
        self, sections: Mapping[str, Mapping[str, Any] | None], *, now: WallTime, lifetime_seconds: float
    ) -> None:
        """Replace `sections`, remove those that are `None`, and keep the others.

        Each goes stale `lifetime_seconds` after `now`.

        Raises `LockTimeoutError` after 200 ms, `OSError` where the disk is full or read-only; the old file stays.
        """
        with locked(self.path.with_name(f".{self.path.name}.lock"), timeout_seconds=_LOCK_SECONDS):
            content = self.read()
            for name, section in sections.items():
                if section is None:
                    content.pop(name, None)
                    continue
                content[name] = {**section, "updated_at": now.seconds, "stale_after": now.seconds + lifetime_seconds}
            write_json_atomic(self.path, content)
