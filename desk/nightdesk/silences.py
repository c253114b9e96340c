"""What keeps critical alerts from people: silences, and alerts that inhibit them. Asked of Alertmanager.

Of a silence counts what it would mute, not only what it mutes now: an alert that is not firing yet is the one that
nobody will hear of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import re2
from nightdesk_alerts.catalogue import ALERTS, AlertDeclaration
from nightdesk_core.clock import WallTime, iso
from nightdesk_core.text import line
from pydantic import BaseModel, ConfigDict, Field, RootModel

from nightdesk.alertmanager import ask_alertmanager
from nightdesk.settings import Settings

_ACTIVE = "active"
_SAME_SECONDS = 300.0
"""A silence that begins so soon after another goes on with it: in between, nobody was told anything either."""
_QUIET = re2.Options()
_QUIET.log_errors = False  # to standard error, past our own log
_MOST_NAMES = 4
_LONGEST_TEXT = 120
_CRITICAL = tuple(alert for alert in ALERTS if "critical" in alert.summaries)


class Part(BaseModel):
    """A part of Alertmanager's answer; what it holds beside is of no interest here."""

    model_config = ConfigDict(frozen=True)


class Matcher(Part):
    """What a label must be, or must not be."""

    name: str
    value: str
    is_regex: bool = Field(alias="isRegex")
    is_equal: bool = Field(True, alias="isEqual")

    def matches(self, value: str) -> bool:
        """Return whether a label's value fits, as Alertmanager decides it."""
        try:
            found = re2.fullmatch(self.value, value, _QUIET) is not None if self.is_regex else self.value == value
        except re2.error:
            return True  # one that only Alertmanager understands may mute anything
        return found == self.is_equal


class State(Part):
    """Whether a silence is pending, active or expired."""

    state: str


class Silence(Part):
    """A silence, with the times as Alertmanager has them."""

    id: str
    status: State
    matchers: tuple[Matcher, ...]
    starts: datetime = Field(alias="startsAt")
    ends: datetime = Field(alias="endsAt")
    created_by: str = Field("", alias="createdBy")
    comment: str = ""

    @property
    def starts_at(self) -> WallTime:
        """When it begins."""
        return WallTime(self.starts.timestamp())

    @property
    def ends_at(self) -> WallTime:
        """When it ends, or ended."""
        return WallTime(self.ends.timestamp())

    @property
    def is_active(self) -> bool:
        """Whether it mutes now."""
        return self.status.state == _ACTIVE

    def mutes(self, alert: AlertDeclaration, bot: str | None) -> bool:
        """Return whether it mutes an alert of severity critical: of a bot, or of any where `bot` is `None`.

        What an alert is about beside, such as a symbol, is not known before it fires: that some of it is muted is
        enough.
        """
        labels = {"alertname": alert.name, "severity": "critical"}
        if alert.of_a_bot and bot is not None:
            labels["bot"] = bot
        unknown = set(alert.labels) - labels.keys()
        return all(each.name in unknown or each.matches(labels.get(each.name, "")) for each in self.matchers)


class AlertState(Part):
    """By which alerts, by their fingerprints, one is muted."""

    inhibited_by: tuple[str, ...] = Field((), alias="inhibitedBy")


class FiringAlert(Part):
    """An alert that Alertmanager has."""

    fingerprint: str
    labels: dict[str, str]
    status: AlertState

    @property
    def title(self) -> str:
        """What it is called, and whose it is."""
        bot = self.labels.get("bot")
        return self.labels.get("alertname", "an alert without a name") + (f" of {bot}" if bot else "")


class _Silences(RootModel[tuple[Silence, ...]]):
    pass


class _Alerts(RootModel[tuple[FiringAlert, ...]]):
    pass


@dataclass(frozen=True)
class Muted:
    """What Alertmanager mutes. `silences` are all that it remembers: those that ended, for five days."""

    silences: tuple[Silence, ...]
    inhibited: tuple[tuple[FiringAlert, tuple[str, ...]], ...]
    """Critical alerts that fire and are not told, each with the names of those that inhibit it."""

    @property
    def of_critical(self) -> tuple[Silence, ...]:
        """The active silences that mute a critical alert of whatever bot."""
        return tuple(silence for silence in self.silences if silence.is_active and silenced_names(silence))

    def silenced_ratio(self, bot: str) -> float:
        """Return the share of a bot's critical alerts that are silenced; 1 is everything."""
        own = [alert for alert in _CRITICAL if alert.of_a_bot]
        active = [silence for silence in self.silences if silence.is_active]
        return sum(any(silence.mutes(alert, bot) for silence in active) for alert in own) / len(own)

    def silenced_seconds(self, bot: str, *, now: WallTime) -> float:
        """Return for how long the critical alert is silenced that is so for longest: all of it, what is to come, too.

        A silence that goes on where another ended makes one with it. 0 where none is silenced.
        """
        return max(
            _longest([silence for silence in self.silences if silence.mutes(alert, bot)], now) for alert in _CRITICAL
        )

    def is_silenced(self, labels: Mapping[str, str]) -> bool:
        """Return whether an alert with such labels would be silenced."""
        active = (silence for silence in self.silences if silence.is_active)
        return any(all(each.matches(labels.get(each.name, "")) for each in found.matchers) for found in active)

    def sentences(self) -> Iterator[str]:
        """Yield a line for each silence and each inhibition of a critical alert: who set it, until when and why."""
        for silence in self.of_critical:
            who, why = shown(silence.created_by) or "nobody named", shown(silence.comment) or "no reason given"
            names = silenced_names(silence)
            muted = "every critical alert" if len(names) == len(_CRITICAL) else _listed(names)
            yield f"silence {silence.id}, by {who} until {iso(silence.ends_at)} ({why}), mutes {muted}"
        yield from self.inhibitions()

    def inhibitions(self) -> Iterator[str]:
        """Yield a line for each critical alert that others inhibit."""
        for alert, causes in self.inhibited:
            yield f"{shown(alert.title)} fires and is told to nobody, inhibited by {shown(_listed(causes))}"


def look(settings: Settings) -> Muted:
    """Return what Alertmanager mutes now. Raises `AnswerError` where it does not say."""
    silences = ask_alertmanager(settings, "/api/v2/silences").read(_Silences).root
    alerts = ask_alertmanager(settings, "/api/v2/alerts").read(_Alerts).root
    titles = {alert.fingerprint: alert.title for alert in alerts}
    inhibited = (
        (alert, tuple(titles.get(cause, "an alert that is over") for cause in alert.status.inhibited_by))
        for alert in alerts
        if alert.labels.get("severity") == "critical" and alert.status.inhibited_by
    )
    return Muted(silences, tuple(inhibited))


def silenced_names(silence: Silence, bot: str | None = None) -> list[str]:
    """Return the critical alerts that a silence mutes, of a bot or of whatever bot."""
    return [alert.name for alert in _CRITICAL if silence.mutes(alert, bot)]


def shown(text: str) -> str:
    """Return what somebody wrote as one short line for people."""
    words = " ".join(line(text).split())
    return words if len(words) <= _LONGEST_TEXT else words[: _LONGEST_TEXT - 1] + "…"


def _longest(silences: Sequence[Silence], now: WallTime) -> float:
    """Return how long the stretch without a gap is that holds this moment."""
    start = end = None
    for silence in sorted(silences, key=lambda silence: silence.starts_at):
        if end is None or start is None or silence.starts_at - end > _SAME_SECONDS:
            if end is not None and end >= now:
                break
            start = silence.starts_at
        end = silence.ends_at if end is None else max(end, silence.ends_at)
    if start is None or end is None or not start <= now <= end:
        return 0.0
    return end - start


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
