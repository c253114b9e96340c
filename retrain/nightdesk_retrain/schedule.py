"""Whether a retrain is due. It is asked often, so it loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loguru import logger
from nightdesk_core.age import is_ahead
from nightdesk_core.clock import WallClock, WallTime, iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.models.bundle import Manifest
from nightdesk_core.models.registry import ModelRegistry, RegistryError
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_core.units import DAY_SECONDS

from nightdesk_retrain import state as states
from nightdesk_retrain.publish import JobReport, Login, publish
from nightdesk_retrain.state import JobState

_ACTOR = "schedule"


@dataclass(frozen=True)
class Schedule:
    """What the schedule looks at. `gateway` is the Pushgateway's host:port, empty for none; seconds are wall time."""

    state_dir: Path
    requests: RetrainRequests
    registry: ModelRegistry
    bot: str
    gateway: str
    textfile_dir: Path
    interval_seconds: float
    model_age_seconds: float
    gateway_login: Login | None = field(default=None, repr=False)
    clock: WallClock = system_clock

    def look(self) -> bool:
        """Note that the schedule looked, push that it did, and return whether a retrain is due or asked for.

        It asks for one itself where the champion is too old. Requests that cannot be read are logged, and put no
        scheduled retrain off.
        """
        now = self.clock()
        for name, at in states.load(self.state_dir).ahead(now).items():
            logger.warning(
                "{} of the retrain job is {}, which is in the future: a clock was wrong. It counts as long past, and"
                " the next retrain sets it right",
                name,
                iso(at),
            )
        state = states.update(self.state_dir, last_check=now)
        self._push(state)
        try:
            self._ask_where_the_champion_is_old(now)
            requested = bool(self.requests.pending())
        except NightdeskError as error:
            logger.error("requests for a retrain are not looked at: {}", error)
            requested = False
        return state.is_due(now=now, interval_seconds=self.interval_seconds, requested=requested)

    def push(self) -> None:
        """Push where pointer and job stand: somebody has moved the one by hand."""
        self._push(states.load(self.state_dir))

    def _push(self, state: JobState) -> None:
        publish(
            self._report(state),
            gateway=self.gateway,
            login=self.gateway_login,
            bot=self.bot,
            textfile_dir=self.textfile_dir,
        )

    def _report(self, state: JobState) -> JobReport:
        """Return what is pushed; the pointer with it, which the bot may have moved since the last run of the job."""
        try:
            champion = self.registry.champion()
        except RegistryError as error:
            logger.error("the champion is not known: {}", error)
            champion = None
        if champion is None:
            return JobReport(state, self.interval_seconds)
        return JobReport(
            state,
            self.interval_seconds,
            champion=champion.version,
            rolled_back_at=None if champion.rollback is None else champion.rollback.at,
        )

    def _ask_where_the_champion_is_old(self, now: WallTime) -> None:
        """Ask once for each time that the age limit passes: what the gate kept need not be tried anew at every look."""
        champion = self.registry.champion()
        if champion is None:
            return
        trained_at = Manifest.read(self.registry.folder / champion.version).trained_at
        if is_ahead(trained_at, now=now):
            reason = f"{champion.version} was trained at {iso(trained_at)}, in the future: nobody knows how old it is"
            self.requests.add("model_age", reason, _ACTOR, at=trained_at.seconds)
            return
        limit = self.model_age_seconds
        passed = int((now - trained_at) // limit)
        if passed < 1:
            return
        said = "the age limit" if passed == 1 else f"{passed} times the age limit"
        reason = f"{champion.version} was trained at {iso(trained_at)}: {said} of {_span(limit)} has passed"
        self.requests.add("model_age", reason, _ACTOR, at=(trained_at + passed * limit).seconds)


def _span(seconds: float) -> str:
    return f"{seconds / DAY_SECONDS:.4g} days" if seconds >= DAY_SECONDS else f"{seconds:.4g} s"
