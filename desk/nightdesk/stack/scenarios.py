"""The demo's scenarios: what a replay is made to do, in which market, and what is said of it as it happens.

In none of them do market and exchange behave as they did, and each says so. A scenario is settings and a plan: neither
the bot nor the servers know that they are in one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nightdesk_core.errors import NightdeskError
from nightdesk_core.units import DAY_SECONDS
from pydantic import AwareDatetime, BaseModel, FiniteFloat

from nightdesk.answers import AnswerError, ask
from nightdesk.settings import Settings


class ScenarioError(NightdeskError):
    """There is no such scenario, or it cannot be played with these settings."""

    exit_code = 2


@dataclass(frozen=True)
class Act:
    """What happens `day` market days after the replay's start: it is `said`, and faults begin at the exchange."""

    day: float
    said: str
    faults: tuple[str, ...] = ()
    """By their names, as `nightdesk sandbox fault` lists them."""
    days: float = 0.0
    """How many market days the faults last."""


@dataclass(frozen=True)
class Scenario:
    """A replay with a plot. `settings` are assignments as `--set` takes them, each with its reason beside it."""

    name: str
    about: str
    settings: tuple[str, ...]
    acts: tuple[Act, ...]


_MONTHS_IN_MINUTES = (
    # The bot trades three times a week: at the demo's 5 candles a second its guard would take ten minutes.
    "sandbox.candles_per_second=20",
    # At that speed a retrain would be due every 36 s, and a model too old after 108 s: the plot shall be what asks.
    "operations.model_rotation.retrain_frequency_days=365",
    "operations.limits.model_age_days=365",
)

CRASH = Scenario(
    "crash",
    "For 50 days of the market no breakout goes on: each is taken back, and the bot, which follows them, loses. The"
    " guard reduces it, then pauses it. Afterwards the market is again as it was in 2019, and the guard lets the bot"
    " back on what it would have earned meanwhile, in the shadow. The 50 days are no real ones: they are made of the"
    " market's own moves, some the other way round.",
    (
        *_MONTHS_IN_MINUTES,
        "sandbox.false_breakouts.share=1",
        "sandbox.false_breakouts.from_day=10",
        "sandbox.false_breakouts.days=50",
    ),
    (
        Act(0, "the market is as it was in 2019"),
        Act(10, "from here on every breakout is taken back: the guard will reduce the bot, then pause it"),
        Act(60, "the market is as it was again: what the bot wins in the shadow will bring it back, step by step"),
    ),
)

DECAY = Scenario(
    "decay",
    "From the tenth day on four of five breakouts fail, for good: the model wins far less than its hold-out"
    " promised. The guard holds the bot back, and the shadow's trades show that it is no bad luck: the bot tells"
    " of it and asks for a retrain, and the gate decides, here as always. These are no real days: they are made of"
    " the market's own moves, some the other way round.",
    (
        *_MONTHS_IN_MINUTES,
        # It takes some forty trades to tell a bad model from bad luck: so more breakouts are traded than usual.
        "trendbot.entry.threshold=0.4",
        "sandbox.false_breakouts.share=0.8",
        "sandbox.false_breakouts.from_day=10",
    ),
    (
        Act(0, "the market is as it was in 2019"),
        Act(10, "from here on four of five breakouts fail, until the end: live turns worse than was promised"),
    ),
)

OUTAGE = Scenario(
    "outage",
    "The exchange fails twice, while the market goes on as it did in 2019: first it answers no request though its"
    " stream still speaks, then it is gone. These faults are made here. The bot decides on nothing meanwhile and"
    " says so; afterwards it catches up, and takes no entry that it missed. Both times it holds no position: with"
    " one open its kill switch would trip, as it must on a price that is old.",
    (),
    (
        Act(0, "the exchange is well"),
        Act(
            4.5,
            "for six days of the market the exchange answers every request with an error; its stream still speaks",
            faults=("error500",),
            days=6,
        ),
        Act(10.5, "the exchange answers again: the bot catches up with the candles that it missed"),
        Act(
            15,
            "for six days of the market the exchange is gone: no request is answered, no connection taken",
            faults=("error500", "drop"),
            days=6,
        ),
        Act(21, "the exchange is back: the bot catches up again"),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in (CRASH, OUTAGE, DECAY)}


def find_scenario(name: str) -> Scenario:
    """Return the scenario of a name. Raises `ScenarioError` that lists them where there is none."""
    if name not in SCENARIOS:
        raise ScenarioError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


class _Market(BaseModel):
    """Where the replay exchange says that the market stands."""

    market_time_unix: FiniteFloat
    starts_at: AwareDatetime


class Play:
    """A scenario while it runs: by the market's time it says each act when it begins, and has its faults begin."""

    def __init__(self, scenario: Scenario, settings: Settings, say: Callable[[str], None]) -> None:
        """Say what the scenario is about. Raises `ScenarioError` where the bot follows a real exchange."""
        if not settings.sandbox.enabled:
            raise ScenarioError(f"the scenario {scenario.name} needs the sandbox's exchange: set sandbox.enabled: true")
        self._left = list(scenario.acts)
        self._url = f"http://{settings.address('exchange')}/sandbox"
        self._speed = settings.scale.speed
        self._say = say
        self._put_off = ""
        self._begun = False
        say(f"scenario {scenario.name}: {scenario.about}")
        for assignment in scenario.settings:
            say(f"scenario {scenario.name} sets {assignment}")

    def look(self) -> None:
        """Begin the acts whose time has come. An exchange that does not answer as it should puts them off."""
        if not self._left:
            return
        try:
            market = ask(f"{self._url}/status").read(_Market)
            day = (market.market_time_unix - market.starts_at.timestamp()) / DAY_SECONDS
            while self._left and self._left[0].day <= day:
                self._begin(self._left[0])
                del self._left[0]
        except AnswerError as error:
            self._tell_delay(error.reason)
        else:
            self._put_off = ""

    def _tell_delay(self, reason: str) -> None:
        """Say once why the scenario waits; not before it has begun, while the exchange comes up."""
        if reason != self._put_off and self._begun:
            self._say(f"the scenario waits: the exchange {reason}")
        self._put_off = reason

    def _begin(self, act: Act) -> None:
        for name in act.faults:
            body = {"name": name, "seconds": act.days * DAY_SECONDS / self._speed}
            answer = ask(f"{self._url}/fault", method="POST", body=body)
            if not answer.ok:
                raise AnswerError(answer.url, f"answers {answer.status} to the fault {name}")
        self._begun = True
        self._say(f"market day {act.day:g}: {act.said}")
