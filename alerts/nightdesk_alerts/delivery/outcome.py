"""How an attempt to deliver ended, and the closed sets that the metrics' labels come from."""

from __future__ import annotations

from dataclasses import dataclass

SENT_PATHS = ("alertmanager", "direct")

DROP_REASONS = ("expired", "invalid", "queue_full", "refused", "unsaved")
"""Why an alert was lost: it went out of date before it could be delivered (`expired`), had no name (`invalid`), had no
place beside graver ones (`queue_full`), its receiver refused it for good (`refused`), or the bot ended before it was
delivered and it could not be kept on disk (`unsaved`)."""


@dataclass(frozen=True)
class Delivered:
    """The other side has taken it."""


@dataclass(frozen=True)
class Later:
    """It may work later, not before `after_seconds` where the other side said so. `problem` holds no secret."""

    problem: str
    after_seconds: float | None = None


@dataclass(frozen=True)
class Partly:
    """Some of the recipients have it; `left` are those for whom it may work later."""

    left: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """It will never work like this. `problem` holds no secret."""

    problem: str


@dataclass(frozen=True)
class Moved:
    """The place has another number from now on, `place`: the message is to be sent there."""

    place: str


@dataclass(frozen=True)
class Reported:
    """Prometheus has reported the alert to Alertmanager, or its end, and sees to it from here on."""


@dataclass(frozen=True)
class Kept:
    """Alertmanager has the alert from us alone."""


@dataclass(frozen=True)
class Lost:
    """Alertmanager does not have the alert, as after its restart."""


DeliveryOutcome = Delivered | Partly | Later | Refused | Reported | Kept | Lost
