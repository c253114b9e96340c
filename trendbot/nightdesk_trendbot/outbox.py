"""What the bot tells the audit log and the retrain job: posted in the journal, told off the loop, at least once."""

from __future__ import annotations

import asyncio

from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.errors import NightdeskError
from nightdesk_core.journal import Journal, Posted
from nightdesk_core.requests import RetrainRequests

AUDIT = "audit"
"""Content: `event` and `details` of an audit entry."""
REQUEST = "retrain request"
"""Content: `cause`, `reason` and `at`."""
_ACTOR = "bot"


class Outbox:
    """Delivers what the journal holds for others. A lock that they keep for long delays nothing but this."""

    def __init__(self, journal: Journal, audit: AuditLog, requests: RetrainRequests) -> None:
        self._journal = journal
        self._audit = audit
        self._requests = requests
        self._complained = ""

    async def deliver(self) -> None:
        """Deliver what there is, oldest first; what cannot be delivered now stays, and is said once."""
        for posted in self._journal.outbox():
            try:
                await asyncio.to_thread(self._tell, posted)
            except (NightdeskError, OSError) as error:
                if str(error) != self._complained:
                    logger.error("{} was not recorded and will be tried again: {}", posted.kind, error)
                self._complained = str(error)
                return
            self._complained = ""
            with self._journal.transaction():
                self._journal.told(posted)

    def _tell(self, posted: Posted) -> None:
        content = posted.content
        if posted.kind == AUDIT:
            self._audit.append(content["event"], content["details"], actor=_ACTOR)
            return
        request = self._requests.add(content["cause"], content["reason"], _ACTOR, at=content["at"])
        if request is not None:
            logger.info("a retrain is asked for ({}): {}", request.cause, content["reason"])
