"""What is said of an alert, once: everything else that knows alerts derives it from here, or is checked against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from nightdesk_core.clock import WallTime

from nightdesk_alerts.catalogue.view import Situation

Severity = Literal["critical", "warning", "info", "none"]
AnyCritical = Literal["any other critical alert"]

ANY_CRITICAL: AnyCritical = "any other critical alert"
HOUR_SECONDS = 3600.0


class Preference(StrEnum):
    """The settings that silence alerts, by their keys below `operations.alerts`."""

    PAUSE = "alert_on_pause"
    KILL_SWITCH = "alert_on_kill_switch"
    MODEL_ROTATION = "alert_on_model_rotation"


class Route(StrEnum):
    """How an alert gets to people; the values are for people. The waits of each stand in `alertmanager.yml`."""

    PAGE = "pages, repeated hourly"
    INSTANT = "at once, repeated hourly; the bot itself sends it, too"
    FLEET = "pages, one message for the whole fleet, repeated hourly"
    NOTICE = "a notice, repeated twice a day"
    EVENT = "an event, shown once and never as resolved"
    HEARTBEAT = "to an external heartbeat, every minute"


_ROUTE_OF_SEVERITY: dict[Severity, Route] = {
    "critical": Route.PAGE,
    "warning": Route.NOTICE,
    "info": Route.EVENT,
    "none": Route.HEARTBEAT,
}


class MutedIn(StrEnum):
    """Where an alert is muted while its cause holds."""

    INHIBITION = "inhibition"
    """By Alertmanager's `inhibit_rules`, which also swallow the end of what was told before its cause came."""
    RULE = "rule"
    """In the alert's own rule, and only while it has not been told: what was told goes on until it is over."""


class Mute(NamedTuple):
    """Nobody need hear of the alert while `cause` holds for the same bot."""

    cause: AlertDeclaration | AnyCritical
    where: MutedIn


def inhibited_by(*causes: AlertDeclaration | AnyCritical) -> tuple[Mute, ...]:
    """Return mutes that Alertmanager sees to."""
    return tuple(Mute(cause, MutedIn.INHIBITION) for cause in causes)


def muted_in_rule_by(*causes: AlertDeclaration | AnyCritical) -> tuple[Mute, ...]:
    """Return mutes that the alert's rule sees to, as `nightdesk_alerts.mutes.with_mutes` words it."""
    return tuple(Mute(cause, MutedIn.RULE) for cause in causes)


@dataclass(frozen=True)
class Symptom:
    """Of what a condition holds: how grave it is, and what was found against which limit.

    `limit` is in seconds or a ratio; `since` is when it came about, where that is known; `labels` say what it is about.
    """

    severity: Severity
    cause: str
    limit: float | None = None
    since: WallTime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Due(NamedTuple):
    """When a condition may come to hold, or hold no longer, by the passing of time alone: then it is looked for again.

    One that lies in the past is of something that is over as soon as the bot reports again.
    """

    at: WallTime


Find = Callable[[Situation], Iterable[Symptom | Due]]
"""Returns a symptom for each thing that a condition holds of, and when time alone may change that. Pure; what is
unknown counts as wrong once the bot has had its time."""


class AlertCondition(NamedTuple):
    """What the bot's health check looks for, and an alert is about: it holds where the alert's expression does.

    `issue` is its name in status file and `health_issues`. `is_known` says whether the bot has said enough, since its
    start, to know whether it holds: an alert of a run before is withdrawn only then. A bot that has just started and
    has reported no equity yet has no drawdown that the check could find, and is not thereby out of it. `unhealthy` has
    the severities at which the bot does not do its work; at any other it does, but something needs a look. What is
    `of_the_account` says nothing of whether the bot could trade: its money is less, and its work goes on.
    """

    issue: str
    find: Find
    is_known: Callable[[Situation], bool]
    unhealthy: tuple[Severity, ...] = ()
    of_the_account: bool = False


class SilentCondition(NamedTuple):
    """What the health check looks for and no alert is about, for a `reason`. Its symptoms are of severity none."""

    issue: str
    find: Find
    reason: str

    @property
    def unhealthy(self) -> tuple[Severity, ...]:
        """What keeps the bot from its work has an alert."""
        return ()

    @property
    def of_the_account(self) -> bool:
        """Money has alerts, too."""
        return False


@dataclass(frozen=True, kw_only=True, eq=False)
class AlertDeclaration:
    """An alert: `name` is its alertname, `summaries` has what each of its severities says, the gravest first.

    `when` says in words when it fires; `labels` are its labels beside alertname and severity. `condition` is that of
    the bot's health check, where the bot itself can tell. `counter` counts occurrences, as (metric, label values …):
    one that came and went between two looks is told of by it. `muted_by` has its causes. While one that `mutes_its_bot`
    fires, nothing else of the same bot is told but for what is `never_muted`. `route` is that of its severity unless
    said. `preference` silences it. `lifetime_seconds` is how long it counts without being sent again.
    """

    name: str
    summaries: Mapping[Severity, str]
    when: str
    labels: tuple[str, ...] = ("bot",)
    condition: AlertCondition | None = None
    counter: tuple[str, ...] = ()
    muted_by: tuple[Mute, ...] = ()
    mutes_its_bot: MutedIn | None = None
    never_muted: bool = False
    route: Route | None = None
    preference: Preference | None = None
    lifetime_seconds: float = HOUR_SECONDS

    @property
    def of_a_bot(self) -> bool:
        """Whether it is about a bot, and not about the stack that watches."""
        return "bot" in self.labels

    @property
    def runbook(self) -> str:
        """Where its runbook lies, from the checkout: the link in its annotations."""
        return f"prometheus/runbooks/{self.name}.md"

    @property
    def rules(self) -> tuple[AlertRule, ...]:
        """Its alerting rules, the gravest first."""
        return tuple(AlertRule(self, severity) for severity in self.summaries)

    def route_of(self, severity: Severity) -> Route:
        """Return how it gets to people."""
        return _ROUTE_OF_SEVERITY[severity] if self.route is None else self.route


class AlertRule(NamedTuple):
    """An alert at one of its severities: what Prometheus has one alerting rule for."""

    declaration: AlertDeclaration
    severity: Severity

    @property
    def name(self) -> str:
        """Its alertname."""
        return self.declaration.name

    @property
    def summary(self) -> str:
        """The sentence that says what is the matter; it ends in a full stop and holds no number."""
        return self.declaration.summaries[self.severity]


class Subject(NamedTuple):
    """Alerts that belong together, with what the health check looks for beside; the order is that of its issues.

    Their rules lie in `prometheus/rules/<rules>.yml`, the tests of these in `prometheus/tests/<rules>_test.yml`.
    """

    title: str
    rules: str
    declared: tuple[AlertDeclaration | SilentCondition, ...]
