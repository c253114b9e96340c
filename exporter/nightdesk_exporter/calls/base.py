"""What every call of the exporter stands on: the snapshot, the clock, and the border that lets nothing through."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from loguru import logger
from nightdesk_core.age import is_ahead
from nightdesk_core.clock import WallTime
from nightdesk_core.secrets.redaction import Redaction

from nightdesk_exporter.arguments import WrongCallError, moment, one_of, text
from nightdesk_exporter.metrics.catalogue import LOG_LEVELS, METRICS
from nightdesk_exporter.snapshot import Event, Limits, Snapshot, Trouble

MOST_SYMBOLS = 2_000
MOST_VALUES = 100
"""Of a label whose values the bot chooses."""
OTHER = "other"
_CHOSEN = ("reason", "outcome", "cause", "collector", "timeframe", "currency")
_NOT_EXPORTED = (
    "this process was forked from the one that exports, so what it reports reaches nobody: no metric, no status, no"
    " alert. Start the exporter after the fork (a daemon: once it is one), or make another in this process, on a port"
    " of its own"
)
_KINDS = "Pass a kind of thing, such as timeout, not a message"

_NAMES: set[str] = set()
"""Of everything that a bot calls."""

Moment = float | datetime | WallTime
"""A wall time: Unix seconds, an aware datetime, or one of ours."""

P = ParamSpec("P")
C = TypeVar("C", bound="Calls")


def never_raises(call: Callable[Concatenate[C, P], None]) -> Callable[Concatenate[C, P], None]:
    """Return `call` as it may be called from a loop."""
    name = call.__name__

    @functools.wraps(call)
    def guarded(*args: Any, **kwargs: Any) -> None:
        # Passed on as they came, self among them: taken apart and put together they would cost as much as the call.
        try:
            call(*args, **kwargs)
        except Exception as error:
            calls: Calls = args[0]
            if calls.strict:
                raise
            calls.note_error(_cause(name, error), error)

    _NAMES.add(name)
    return guarded


def _cause(call: str, error: Exception) -> str:
    """Return what a wrong call is counted under: as few as there are calls and arguments."""
    if isinstance(error, WrongCallError):
        return f"{call}: {error.argument.partition('[')[0]}"
    return f"{call}: {'arguments' if isinstance(error, TypeError) else type(error).__name__}"


class Calls:
    """One topic's calls write `snapshot`.

    `changed()` is called where status file and alerts must follow at once; `_touched` is set where they may have to.
    What time alone changes needs neither.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        limits: Limits,
        *,
        clock: Callable[[], float],
        strict: bool,
        secrets: Iterable[str] = (),
    ) -> None:
        """`clock` returns the wall time in seconds since the Unix epoch."""
        self.snapshot = snapshot
        self._redaction = Redaction(secrets)
        self.strict = strict
        self._limits = limits
        self._clock = clock
        self._logged: set[str] = set()
        self._touched = False
        """Whether something was told, since the health was last looked at, that may change it."""

    def changed(self) -> None:
        """Have health, status file and alerts follow at once."""

    @never_raises
    def event(self, message: str, *, level: str = "INFO", at: Moment | None = None) -> None:
        """Log something worth telling, and list it among the last events."""
        one_of(str(level).lower(), LOG_LEVELS, "level")
        self._tell(level.upper(), text(message, "message"), at=self._stamp(at))

    @never_raises
    def unwritable(self, what: str, reason: str = "", *, at: Moment | None = None) -> None:
        """Something of the bot's, such as its journal, cannot be written, for a `reason`; without one it can again."""
        stamp = self._stamp(at)
        name, why, known = text(what, "what"), self._without_secrets(text(reason, "reason")), self.snapshot.unwritable
        if name not in known and len(known) >= MOST_VALUES:
            raise WrongCallError("what", f"is one too many: {MOST_VALUES} are known already. {_KINDS}")
        before = known.get(name)
        if why and before is None:
            known[name] = Trouble(WallTime(stamp), why)
            self._tell("CRITICAL", f"the {name} cannot be written: {why}", at=stamp)
        elif not why:
            known[name] = None
            if before is not None:
                self._tell("INFO", f"the {name} can be written again", at=stamp)
        if (before is None) == bool(why):
            self.changed()

    def note_error(self, cause: str, error: Exception) -> None:
        """Count something that went wrong inside the exporter, and log it the first time."""
        self._count("instrumentation_errors", cause)
        problem = self._words(error)
        self.snapshot.wrong_calls[cause] = Trouble(self._now(), problem)
        if cause not in self._logged:
            self._logged.add(cause)
            # A wrong call says itself what to do; of anything else the traceback is wanted.
            told = f": {problem}" if isinstance(error, WrongCallError) else self._trace(error)
            logger.error("exporter: {}{}", cause, told)
            self.changed()

    def _vanish(self) -> None:
        """Have every call from now on do nothing, and the first say so: this process is a child of the bot's.

        Each call is replaced by itself: a look at whose process this is would cost as much as a call.
        """
        said = False

        def vanished(*_: object, **__: object) -> None:
            nonlocal said
            if not said:
                said = True
                logger.warning("exporter: {}", _NOT_EXPORTED)

        for name in (*_NAMES, "_request_succeeded", "changed"):
            if hasattr(self, name):
                setattr(self, name, vanished)

    def _now(self) -> WallTime:
        return WallTime(self._clock())

    def _stamp(self, at: Moment | None) -> float:
        """Return when something happened that is told of now: at `at`, for whoever learned of it later."""
        now = self._clock()
        if at is None:
            return now
        said = moment(at, "at")
        if is_ahead(WallTime(said), now=WallTime(now)):
            ahead = f"is {said - now:.0f} s ahead of the clock"
            raise WrongCallError("at", f"{ahead}; pass the wall time at which it happened")
        return min(said, now)

    def _newest(self, known: float | None, at: Moment) -> float:
        """Return the newer of what is known and `at`: who learns of things late may learn of the older one last."""
        stamp = self._stamp(at)
        # What is known and lies ahead was told before the clock was set back.
        return stamp if known is None or known > self._clock() else max(known, stamp)

    def _tell(self, level: str, message: str, *, at: float | None = None) -> None:
        message = self._without_secrets(message)
        logger.log(level, "{}", message)
        self.snapshot.events.append(Event(WallTime(self._clock() if at is None else at), level.lower(), message))

    def _without_secrets(self, said: str) -> str:
        """Return a text as it may be shown: what is told here reaches status file, page and alerts, too."""
        return self._redaction.text(text(said, "text"))

    def _words(self, error: BaseException) -> str:
        """Return what an exception says; one whose class cannot say it is said to be such."""
        return self._without_secrets(str(traceback.TracebackException.from_exception(error, limit=0)))

    def _trace(self, error: BaseException) -> str:
        """Return an exception's traceback in lines of its own. Not loguru's: that shows secrets and variables."""
        return "\n" + self._without_secrets("".join(traceback.format_exception(error)).rstrip())

    def _symbol(self, symbol: Any) -> str:
        """Return a symbol that may be remembered. Raises `WrongCallError` for one too many."""
        found, known = text(symbol, "symbol"), self.snapshot.symbols
        if found not in known:
            if len(known) >= MOST_SYMBOLS:
                raise WrongCallError("symbol", f"{found!r} is one too many: {MOST_SYMBOLS} are known already")
            known.add(found)
        return found

    def _create(self, name: str, *values: Iterable[str]) -> None:
        """Have a counter's children exist at 0: one for each combination of label values."""
        keys: list[tuple[str, ...]] = [(name,)]
        for choices in values:
            found = tuple(choices)
            keys = [(*key, value) for key in keys for value in found]
        for key in keys:
            self.snapshot.counters.setdefault(key, 0.0)

    def _count(self, *key: str, by: float = 1.0) -> None:
        """Count under (metric, label values …)."""
        counters = self.snapshot.counters
        if key not in counters:
            key = self._bounded(key)
            counters.setdefault(key, 0.0)
        # One step to other threads: the interpreter lets go of its lock at calls and jumps only.
        counters[key] += by

    def _show(self, *key: str, value: float | None) -> None:
        """Show a gauge under (metric, label values …); one that is not known any more shows nothing."""
        if value is None:
            self.snapshot.gauges.pop(key, None)
        else:
            self.snapshot.gauges[key] = value

    def _bounded(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """Return the key of a child that may be new: where there are too many, they are counted together."""
        *others, last = key
        labels = METRICS[key[0]].labels
        if not labels or labels[-1] not in _CHOSEN:
            return key
        known = sum(1 for found in tuple(self.snapshot.counters) if found[:-1] == key[:-1])
        if known < MOST_VALUES:
            return key
        cause = f"{key[0]}: too many label values"
        if key[0] != "instrumentation_errors" and cause not in self._logged:
            self._logged.add(cause)
            logger.error("exporter: {}: {!r} is one value too many; it counts as {!r}. {}", key[0], last, OTHER, _KINDS)
        return (*others, OTHER)
