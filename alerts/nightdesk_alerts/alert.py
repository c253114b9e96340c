"""An alert's identity, its words and its times, and what a channel is given to say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nightdesk_core.clock import iso
from nightdesk_core.text import clean, line

from nightdesk_alerts.catalogue import declared
from nightdesk_alerts.catalogue.declaration import HOUR_SECONDS, AlertDeclaration, Route

OPTIONAL_LABELS = ("symbol", "timeframe", "criterion")
# Repeats are those of Alertmanager's routes.
_REPEAT_SECONDS = HOUR_SECONDS
_WARNING_REPEAT_SECONDS = 12 * HOUR_SECONDS
_RANKS = {"critical": 0, "warning": 1, "info": 2}
_LONGEST_WORDS = 1000
_WORTH_MOVING = 0.1

Key = tuple[tuple[str, str], ...]
Status = Literal["firing", "resolved"]


@dataclass(frozen=True, kw_only=True)
class SentAlert:
    """One alert as it is sent. `labels` are its whole identity; times are Unix seconds of wall time.

    One that lasts holds until it is withdrawn; any other is an event, which is told once.
    """

    labels: Mapping[str, str]
    summary: str
    description: str
    starts_at: float
    ends_at: float
    lasting: bool

    @property
    def name(self) -> str:
        """Its alertname."""
        return self.labels["alertname"]

    @property
    def bot(self) -> str:
        """The bot that it is about."""
        return self.labels["bot"]

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return tuple(sorted(self.labels.items()))

    @property
    def condition(self) -> Key:
        """What it is about, however grave: that is what is withdrawn."""
        return condition_of(self.labels)

    @property
    def rank(self) -> int:
        """0 for the gravest. A severity that nobody foresaw counts as a warning, as in Alertmanager's routes."""
        return _RANKS.get(self.labels["severity"], 1)

    @property
    def declaration(self) -> AlertDeclaration | None:
        """What the catalogue says of it; `None` for one of the bot's own."""
        found = declared(self.name)
        return found if found is not None and found.of_a_bot else None

    @property
    def ours(self) -> bool:
        """Whether there is a rule for it, which reports it and its end too, and a runbook."""
        return self.declaration is not None

    @property
    def annotations(self) -> dict[str, str]:
        """What a rule says of it: the runbook's path is that of the rules."""
        runbook = {} if self.declaration is None else {"runbook_url": self.declaration.runbook}
        return {"summary": self.summary, "description": self.description, **runbook}

    @property
    def lifetime_seconds(self) -> float:
        """How long it counts without being sent again."""
        return HOUR_SECONDS if self.declaration is None else self.declaration.lifetime_seconds

    @property
    def repeat_seconds(self) -> float:
        """After how long a person who was told is reminded."""
        instant = self.declaration is not None and self.declaration.route is Route.INSTANT
        return _REPEAT_SECONDS if instant or self.rank == 0 else _WARNING_REPEAT_SECONDS

    def until(self, ends_at: float) -> SentAlert:
        """Return it with a later end; never with an earlier one."""
        return replace(self, ends_at=max(ends_at, self.ends_at))

    def in_time(self, now: float) -> SentAlert:
        """Return it as it would be had it begun by `now`: a clock that was ahead would have it last for years.

        Alertmanager refuses what ends before it begins.
        """
        latest = now + self.lifetime_seconds
        return replace(self, starts_at=min(self.starts_at, now), ends_at=min(self.ends_at, latest))

    def again(self, alert: SentAlert) -> SentAlert:
        """Return it as it stands once it has been sent again as `alert`: it began when it began.

        The end moves only by a good part of the lifetime, so that sending again and again writes no file each time.
        """
        later = alert.ends_at - self.ends_at > _WORTH_MOVING * self.lifetime_seconds
        return replace(
            self,
            summary=alert.summary,
            description=alert.description,
            ends_at=alert.ends_at if later else self.ends_at,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as the spool keeps it."""
        return {
            "labels": dict(self.labels),
            "summary": self.summary,
            "description": self.description,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "lasting": self.lasting,
        }

    @classmethod
    def from_json(cls, value: Any) -> SentAlert:
        """Return what `as_json` returned. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        labels = {str(name): _label(str(text)) for name, text in dict(value["labels"]).items()}
        if not {"alertname", "severity", "bot"} <= set(labels) <= {"alertname", "severity", "bot", *OPTIONAL_LABELS}:
            raise ValueError("the labels are not an alert's")
        return cls(
            labels=labels,
            summary=_words(str(value["summary"])),
            description=_words(str(value["description"])),
            starts_at=float(value["starts_at"]),
            ends_at=float(value["ends_at"]),
            lasting=bool(value["lasting"]),
        )


@dataclass(frozen=True)
class Notification:
    """What a channel is to say: that an alert fires, or that it has ended at `at`, Unix seconds."""

    alert: SentAlert
    status: Status
    at: float
    only: tuple[str, ...] = ()
    """Those of several recipients who are yet to hear of it, where the others have; empty means all."""

    @property
    def ends_at(self) -> str:
        """The alert's end as Alertmanager writes it to a webhook: the year 1 while it fires."""
        return iso(self.at) if self.status == "resolved" else "0001-01-01T00:00:00Z"


def new_alert(
    labels: Mapping[str, str], *, summary: str, description: str, lasting: bool, starts_at: float
) -> SentAlert:
    """Return an alert that begins now. What is too long for any channel is cut: the queue's memory is bounded."""
    draft = SentAlert(
        labels={name: _label(text) for name, text in labels.items()},
        summary=_words(summary),
        description=_words(description),
        starts_at=starts_at,
        ends_at=starts_at,
        lasting=lasting,
    )
    return draft.until(starts_at + draft.lifetime_seconds)


def _words(text: str) -> str:
    """Return a text that every channel can show, and not without end."""
    return clean(text[:_LONGEST_WORDS]).strip()


def _label(text: str) -> str:
    """Return a label's value that every channel can show, on one line."""
    return line(_words(text))


def condition_of(labels: Mapping[str, str]) -> Key:
    """Return the identity that these labels make but for the severity, which whoever withdraws need not know."""
    return tuple(sorted((name, _label(text)) for name, text in labels.items() if name != "severity"))
