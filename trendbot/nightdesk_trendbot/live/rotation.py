"""What the bot does with its champion: it settles one that stood its probation, and takes back one that did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.files import stored
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry, RegistryError
from nightdesk_guard.notices import ACTOR, Handler

ROLLBACK = "rollback"
"""Content: `version` that is taken back, `reason`, and `trained_after`, before which its successor must not lie."""
SETTLEMENT = "settlement"
"""Content: `version` that has stood its probation."""


class Rotation:
    """Carries out what the journal says is to be done with a champion, once, though it be told again after a crash."""

    def __init__(self, registry: ModelRegistry, audit: AuditLog, *, rolled_back: Callable[[Champion], None]) -> None:
        """`rolled_back` is told of each champion that was taken back: the pointer to the one that came back."""
        self._registry = registry
        self._audit = audit
        self._rolled_back = rolled_back

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Who carries out which kind of notice."""
        return {ROLLBACK: self._roll_back, SETTLEMENT: self._settle}

    def _roll_back(self, content: Mapping[str, Any]) -> None:
        version, reason = content["version"], content["reason"]
        try:
            champion = self._registry.roll_back(version, reason, trained_after=WallTime(content["trained_after"]))
        except RegistryError as error:
            now = self._registry.champion()
            if now is None or now.rollback is None or now.rollback.version != version:
                logger.error("{} was not taken back: {}", version, error)
                return
            # It was done, and the bot was killed before it could say so.
            champion = now
        self._audit.append("rolled_back", stored.plain(champion), actor=ACTOR)
        logger.warning("{} is taken back: {}; the champion is {} again", version, reason, champion.version)
        self._rolled_back(champion)

    def _settle(self, content: Mapping[str, Any]) -> None:
        version = content["version"]
        try:
            champion = self._registry.settle(version)
        except RegistryError as error:
            now = self._registry.champion()
            if now is None or (now.version, now.standing) != (version, "champion"):
                logger.info("its probation is of no account any more: {}", error)
                return
            champion = now
        self._audit.append("probation_stood", stored.plain(champion), actor=ACTOR)
        logger.info("{} has stood its probation, and trades at its full size", version)
