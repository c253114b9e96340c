"""An alert as the spool keeps it: its words, whether it holds, and who was told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from nightdesk_alerts.alert import SentAlert
from nightdesk_alerts.delivery.entry import Entry, Leg


@dataclass(frozen=True)
class KeptAlert:
    """What an earlier run has left of an alert. `legs` are those of the channels that it told."""

    alert: SentAlert
    holds: bool
    legs: dict[str, Leg]

    @classmethod
    def of(cls, value: Any, *, tick: float, wall: float) -> Self:
        """Read one. Raises `ValueError` for what is none."""
        try:
            alert = SentAlert.from_json(value).in_time(wall)
            told = {str(name): float(at) for name, at in value["told"].items()}
            ranks = {str(name): int(rank) for name, rank in value.get("told_ranks", {}).items()}
            left = {str(name): tuple(map(str, some)) for name, some in value.get("left", {}).items()}
            holds = bool(value["holds"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it is no alert of a spool") from error
        legs = {
            name: Leg(
                told="firing",
                told_rank=ranks.get(name, alert.rank),
                told_at=min(tick - (wall - at), tick),
                told_wall=at,
                left=left.get(name, ()),
                left_at=tick,
            )
            for name, at in told.items()
        }
        return cls(alert, holds, legs)


def as_kept(entry: Entry) -> dict[str, Any]:
    """Return what the spool is to keep of an entry, for `KeptAlert.of`."""
    told = {name: leg for name, leg in entry.legs.items() if leg.told == "firing"}
    return {
        **entry.alert.as_json(),
        "holds": entry.holds,
        "told": {name: leg.told_wall for name, leg in told.items()},
        "told_ranks": {name: leg.told_rank for name, leg in told.items() if leg.told_rank != entry.alert.rank},
        "left": {name: list(leg.left) for name, leg in told.items() if leg.left},
    }
