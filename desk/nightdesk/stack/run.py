"""`nightdesk run`: the whole stack in the foreground, with a table of the services and a live line for the bot.

The main thread brings up, looks after the supervisor and takes down. What is shown, and a scenario, have threads of
their own: whatever becomes of them, the services run on.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from nightdesk.logbook import set_up_logs
from nightdesk.pages.link import login_link
from nightdesk.settings import Settings
from nightdesk.stack.display import Display
from nightdesk.stack.live_line import live_line
from nightdesk.stack.running import RunningStack, Say, running_stack
from nightdesk.stack.scenarios import Play, Scenario
from nightdesk.stack.supervision import Supervision
from nightdesk.stack.supervisor_client import SupervisorError

_LOOK_SECONDS = 0.5


def run(
    settings: Settings,
    *,
    settings_file: Path,
    overrides: Sequence[str],
    seconds: float | None,
    fresh: bool,
    scenario: Scenario | None = None,
) -> bool:
    """Run the stack until Ctrl-C, or for `seconds` once all is up; return whether all was healthy at the end.

    The scenario's own settings are among `settings` and `overrides` already; it begins with a replay of its own.
    Raises `ScenarioError`, what bringing the stack up raises, and `SupervisorError` where the supervisor ended and
    cannot be started again.
    """
    with Display(sys.stdout) as display:
        play = None if scenario is None else Play(scenario, settings, display.say)
        with _stop_signals() as end:
            try:
                with running_stack(
                    settings,
                    settings_file=settings_file,
                    overrides=overrides,
                    fresh=fresh or play is not None,
                    say=display.say,
                ) as stack:
                    # Through the display, which waits for no terminal: what looks after the services must not.
                    set_up_logs("run", settings, show=display.say)
                    display.say("all is up")
                    display.lines(_table(stack))
                    display.lines([f"look at it, logged in by this link, once: {login_link(settings)}"])
                    if not settings.stack.bots:
                        display.follow(partial(live_line, settings))
                    deadline = None if seconds is None else time.monotonic() + seconds
                    with _played(play):
                        _look_after(stack, deadline=deadline, end=end)
                    display.follow(None)
                    healthy = _final_word(stack, display.say)
            except _Stopped:
                display.say("stopped before all was up")
                return False
            display.say("stopped")
    return healthy


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM. Like KeyboardInterrupt it passes every handler of errors on its way out."""


@dataclass
class _End:
    """Whether the end has begun: from then on everything stops in order, and no signal cuts that short."""

    begun: bool = False


@contextmanager
def _stop_signals() -> Iterator[_End]:
    """Turn the first SIGINT or SIGTERM into `_Stopped`, unless the end has begun by itself; later ones are ignored.

    A terminal that is closed (SIGHUP) stops nothing: the services need none.
    """
    end = _End()

    def note(_number: int, _frame: FrameType | None) -> None:
        if not end.begun:
            end.begun = True
            raise _Stopped

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    # A handler, not SIG_IGN: that the services would inherit, and the bot reloads at a SIGHUP.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _look_after(stack: RunningStack, *, deadline: float | None, end: _End) -> None:
    """See to it that the supervisor runs, until the deadline or a signal: then the end has begun, or where it raises.

    Raises `SupervisorError`.
    """
    supervision = Supervision(stack.supervisor)
    try:
        while deadline is None or time.monotonic() < deadline:
            supervision.look()
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            time.sleep(max(0.0, left))
    except _Stopped:
        pass
    finally:
        end.begun = True


@contextmanager
def _played(play: Play | None) -> Iterator[None]:
    """Play a scenario meanwhile."""
    if play is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_repeat, args=(play.look, over), name="nightdesk-scenario", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _repeat(look: Callable[[], None], over: threading.Event) -> None:
    while not over.wait(_LOOK_SECONDS):
        look()


def _final_word(stack: RunningStack, say: Say) -> bool:
    try:
        wrong = [state for state in stack.states() if not state.healthy]
    except SupervisorError as error:
        say(str(error))
        return False
    for state in wrong:
        say(f"{state.name} is not well: {state.state}")
    say("stopping; all was healthy" if not wrong else "stopping")
    return not wrong


def _table(stack: RunningStack) -> list[str]:
    """Return the services, a line each below their headings, in columns as wide as they need."""
    rows = [("service", "state", "URL"), *((state.name, state.state, state.url) for state in stack.states())]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
