"""Whether a bot's audit log still holds what was seen of it, told to whoever watches the bot."""

from __future__ import annotations

import math

from nightdesk_core.age import age_seconds
from nightdesk_core.audit import RENEWED, AuditEntry, AuditError, AuditHead, AuditLog
from nightdesk_core.clock import WallClock, WallTime

from nightdesk_guard.reporting import AuditReporter, Reporter

_SECONDS = 60.0
"""So often at most: the whole log is read."""


class AuditWatch:
    """Holds a log against the anchor beside it, and against what this process has seen of it: both can be deleted."""

    def __init__(self, audit: AuditLog, reporter: Reporter | None, *, clock: WallClock) -> None:
        """A `reporter` that is no `AuditReporter` is told nothing."""
        self._audit = audit
        self._reporter = reporter if isinstance(reporter, AuditReporter) else None
        self._clock = clock
        self._looked_at = WallTime(-math.inf)
        self._first: AuditEntry | None = None
        """The first entry, as it was last seen."""
        self._seen: tuple[AuditHead, ...] = ()

    def look(self) -> None:
        """Report how the log stands, where that was not done lately."""
        if self._reporter is None or age_seconds(self._looked_at, now=self._clock()) < _SECONDS:
            return
        self._looked_at = self._clock()
        try:
            head = self._held()
        except AuditError as error:
            self._reporter.audit_missing(str(error))
        else:
            self._reporter.audit(entries=head.length, head=head.digest)

    def _held(self) -> AuditHead:
        first = next(self._audit.entries(), None)
        if first is not None and first.event == RENEWED and first != self._first:
            self._seen = ()  # a person has begun it anew
        head = self._audit.refuse_loss(self._seen)
        self._first, self._seen = first, (head,)
        return head
