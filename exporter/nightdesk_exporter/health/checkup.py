"""The health check over time: since when each issue is there, and whether anything changed since the last look."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from nightdesk_core.clock import WallTime

from nightdesk_exporter.health.issues import Health

Looked = Callable[[Health, Health], None]


class Checkup:
    """Looks at the health as often as it is asked to, and remembers. May be asked from any thread."""

    def __init__(self, assess: Callable[[WallTime], Health], *, on_change: Looked) -> None:
        """`assess` returns the health at a time; `on_change` is told the health before and the one after.

        It is told where the verdict or the set of issues changed, before `look` returns.
        """
        self._assess = assess
        self._on_change = on_change
        self._lock = threading.Lock()
        self._last: Health | None = None
        self.verdict_since: WallTime | None = None
        """When a look first found what the last one found."""
        self._since: dict[tuple[str, ...], WallTime] = {}
        self.due: WallTime | None = None
        """When time alone may have changed what the last look found."""

    def forked(self) -> None:
        """In a child, have a lock that nobody holds."""
        self._lock = threading.Lock()

    def look(self, now: WallTime) -> Health:
        """Return the health at `now`."""
        with self._lock:
            found = self._assess(now)
            first = {issue.key: now if issue.since is None else issue.since for issue in found.issues}
            self._since = {key: min(at, self._since.get(key, at)) for key, at in first.items()}
            issues = tuple(replace(issue, since=self._since[issue.key]) for issue in found.issues)
            before, health = self._last, replace(found, issues=issues)
            if before is None or before.verdict is not health.verdict:
                self.verdict_since = now
            self._last, self.due = health, health.due
        if before is not None and _outline(before) != _outline(health):
            self._on_change(before, health)
        return health


def _outline(health: Health) -> object:
    return health.verdict, {(issue.key, issue.verdict) for issue in health.issues}
