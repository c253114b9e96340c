"""The champion: the record that says which model trades, in what standing, and which ones were before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nightdesk_core.clock import WallTime
from nightdesk_core.models.bundle import is_version, no_version

Standing = Literal["provisional", "probation", "champion"]


@dataclass(frozen=True)
class Rollback:
    """The last time that a champion was taken back: when, which one, and why."""

    at: WallTime
    version: str
    reason: str


@dataclass(frozen=True)
class Champion:
    """The pointer: which version trades, since when, in what standing, and which ones were before it."""

    version: str
    standing: Standing
    promoted_at: WallTime
    previous: str | None
    earlier: tuple[tuple[str, Standing], ...] = ()
    """The champions before it that were not taken back, and how they stood; `previous` is the first of them."""
    rollback: Rollback | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` where a version is no name, but leads out of the registry."""
        taken = () if self.rollback is None else (self.rollback.version,)
        for version in (self.version, *dict(self.earlier), *taken, *([] if self.previous is None else [self.previous])):
            if not is_version(version):
                raise ValueError(no_version(version))

    @property
    def with_earlier(self) -> tuple[tuple[str, Standing], ...]:
        """It and those before it. One that has not stood its probation comes back as it was: on it."""
        return ((self.version, self.standing), *self.earlier)
