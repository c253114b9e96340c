"""Whether the supervisor runs and answers, and what it cannot bring up; without it, all is started again.

supervisord restarts what dies. When it dies itself, killed by hand or for its memory, its services go with it; nobody
sleeps well over that. A service that somebody has stopped stays stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loguru import logger

from nightdesk.stack.supervisor import Supervisor
from nightdesk.stack.supervisor_client import ProgramState, SupervisorError

_TOLD_SECONDS = 10.0
"""For so long it may be busy."""
_REPLACED_SECONDS = 60.0
"""After so long without an answer it is taken for stuck. Its services run until then, and one that dies stays dead."""
_PAUSES_SECONDS = (0.0, 2.0, 10.0)
"""Before each try to start it again."""
_DOWN = ("BACKOFF", "FATAL")


class Supervision:
    """Looks at a supervisor that runs. `clock` counts seconds and never goes back."""

    def __init__(self, supervisor: Supervisor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._wanted = supervisor.names
        self._answered_at = clock()
        self._told = False
        self._down: set[str] = set()

    def look(self) -> None:
        """Start the supervisor again where it has ended or is stuck, and say once which service does not come up.

        Raises `SupervisorError` where the supervisor cannot be started again.
        """
        ended = self._supervisor.ended
        if ended is not None:
            logger.error("the supervisor has ended ({}), and its services with it: it is started again", ended)
            self._restart()
            return
        try:
            states = self._supervisor.states()
        except SupervisorError:
            self._unanswered()
            return
        self._wanted = frozenset(state.name for state in states if state.state != "STOPPED")
        self._answered_at = self._clock()
        if self._told:
            self._told = False
            logger.info("the supervisor answers again")
        self._tell_of_services(states)

    def _tell_of_services(self, states: Sequence[ProgramState]) -> None:
        for state in states:
            if state.state in _DOWN and state.name not in self._down:
                self._down.add(state.name)
                logger.error(
                    "{} ends each time it is started: what it does is not done meanwhile; it is tried again, see {}",
                    state.name,
                    self._supervisor.log_of(state.name),
                )
            elif state.state == "RUNNING" and state.name in self._down:
                self._down.remove(state.name)
                logger.info("{} runs again", state.name)
            elif state.state == "STOPPED":
                self._down.discard(state.name)

    def _unanswered(self) -> None:
        silent_seconds = self._clock() - self._answered_at
        if silent_seconds >= _REPLACED_SECONDS:
            logger.error("the supervisor has not answered for {:.0f} s: it is ended and started again", silent_seconds)
            self._restart()
        elif silent_seconds >= _TOLD_SECONDS and not self._told:
            self._told = True
            logger.warning(
                "the supervisor does not answer: the services go on, but one that dies is not started again;"
                " in {:.0f} s the supervisor is",
                _REPLACED_SECONDS - silent_seconds,
            )

    def _restart(self) -> None:
        for number, pause_seconds in enumerate(_PAUSES_SECONDS, start=1):
            time.sleep(pause_seconds)
            try:
                self._supervisor.restart(self._wanted)
            except SupervisorError as error:
                if number == len(_PAUSES_SECONDS):
                    raise
                logger.error("{}; it is tried again", error)
                continue
            break
        self._answered_at = self._clock()
        self._told = False
        logger.info("the supervisor runs again, and starts {}", ", ".join(sorted(self._wanted)))
