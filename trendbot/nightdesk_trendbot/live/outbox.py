"""What the bot owes audit log, retrain job and registry: posted in the journal, told off the loop, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loguru import logger
from nightdesk_core import stored
from nightdesk_core.audit import AuditLog
from nightdesk_core.errors import NightdeskError
from nightdesk_core.journal import Journal, Posted
from nightdesk_core.registry import Champion, ModelRegistry, RegistryError
from nightdesk_core.requests import RetrainRequests
from nightdesk_guard import notices

ROLLBACK = "rollback"
"""Content: `version` that is taken back, `reason`, and `trained_after`, before which its successor must not lie."""
SETTLEMENT = "settlement"
"""Content: `version` that has stood its probation."""
_ACTOR = "bot"


class Outbox:
    """Delivers what the journal holds for others. A lock that they keep for long delays nothing but this."""

    def __init__(
        self,
        journal: Journal,
        audit: AuditLog,
        requests: RetrainRequests,
        registry: ModelRegistry,
        *,
        rolled_back: Callable[[Champion], None],
    ) -> None:
        """`rolled_back` is told of each champion that was taken back: the pointer to the one that came back."""
        self._journal = journal
        self._registry = registry
        self._rolled_back = rolled_back
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
        if posted.kind == ROLLBACK:
            self._roll_back(content["version"], content["reason"], content["trained_after"])
        elif posted.kind == SETTLEMENT:
            self._settle(content["version"])
        else:
            notices.tell(posted.kind, content, audit=self._audit, requests=self._requests)

    def _roll_back(self, version: str, reason: str, trained_after: float) -> None:
        try:
            champion = self._registry.roll_back(version, reason, trained_after=trained_after)
        except RegistryError as error:
            now = self._registry.champion()
            if now is None or now.rollback is None or now.rollback.version != version:
                logger.error("{} was not taken back: {}", version, error)
                return
            # It was done, and the bot was killed before it could say so.
            champion = now
        self._audit.append("rolled_back", stored.plain(champion), actor=_ACTOR)
        logger.warning("{} is taken back: {}; the champion is {} again", version, reason, champion.version)
        self._rolled_back(champion)

    def _settle(self, version: str) -> None:
        try:
            champion = self._registry.settle(version)
        except RegistryError as error:
            now = self._registry.champion()
            if now is None or (now.version, now.standing) != (version, "champion"):
                logger.info("its probation is of no account any more: {}", error)
                return
            champion = now
        self._audit.append("probation_stood", stored.plain(champion), actor=_ACTOR)
        logger.info("{} has stood its probation, and trades at its full size", version)
