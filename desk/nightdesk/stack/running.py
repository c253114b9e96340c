"""The native stack: brings everything up in order, the first model included, and takes it all down again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.clock import utc
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_core.files.permissions import make_folder

from nightdesk import home
from nightdesk.render.configuration import render
from nightdesk.settings import Settings
from nightdesk.stack.services import ServiceState, StackService, ask_health, refuse_taken_ports, services
from nightdesk.stack.supervisor import Supervisor, dying_with_parent, refuse_odd
from nightdesk.stack.tools import ensure_tools

Say = Callable[[str], None]

_HEALTHY_SECONDS = 90.0
_POLL_SECONDS = 0.2
_SERVERS_STATE = ("logs", "pushgateway", "alertmanager", "prometheus")


class StackError(NightdeskError):
    """The stack could not be brought up; the message says which service and where its log is."""


@dataclass(frozen=True)
class RunningStack:
    """The stack while it runs."""

    settings: Settings
    supervisor: Supervisor
    services: Sequence[StackService]

    def states(self) -> list[ServiceState]:
        """Return how every service stands."""
        running = {program.name: program.state for program in self.supervisor.states()}
        return [
            ask_health(self.settings, service, running=running.get(service.name, "UNKNOWN"))
            for service in self.services
        ]


@contextmanager
def running_stack(
    settings: Settings, *, settings_file: Path, overrides: Sequence[str], fresh: bool, say: Say
) -> Iterator[RunningStack]:
    """Bring the stack up, yield it once every service is healthy, and stop it all afterwards.

    Raises `StackError`, `PortTakenError`, `ToolsError` and whatever the first training raises; nothing is left running.
    """
    with _only_one(settings):
        home.close_to_others(settings)
        if settings.sandbox.enabled:
            _read_own_candles(settings, say)
        refuse_odd(settings.home)
        tools = ensure_tools(settings.home, progress=say)
        rendered = render(settings, out=run_dir(settings).parent / "rendered")
        wanted = services(settings, settings_file=settings_file, overrides=overrides, tools=tools, rendered=rendered)
        refuse_taken_ports(settings, wanted)
        if settings.sandbox.enabled:
            from nightdesk_sandbox import why_anew

            # Candles that are not on disk yet are fetched here, so that a failed download is an error of this command.
            if why := why_anew(settings.sandbox, home=settings.home):
                say(f"{why}: a new one begins")
                fresh = True
        if fresh:
            _set_aside(settings, say)
        programs = [service.program for service in wanted]
        with Supervisor(programs, folder=run_dir(settings), log_dir=log_dir(settings)) as supervisor:
            stack = RunningStack(settings, supervisor, wanted)
            first = {service.name for service in wanted if service.program.autostart}
            _await_healthy(stack, first, say)
            if not settings.stack.bots and home.registry(settings).champion() is None:
                _bootstrap(settings_file, overrides, say)
            for service in wanted:
                if service.name not in first:
                    supervisor.start(service.name)
                    _await_healthy(stack, {service.name}, say)
            yield stack


def _read_own_candles(settings: Settings, say: Say) -> None:
    """Say what a person's own files of candles hold: one that cannot be used is refused before anything is fetched."""
    from nightdesk_sandbox import read_own_candles

    for symbol, read in read_own_candles(settings.sandbox, home=settings.home).items():
        say(f"{symbol}: {read}")


def run_dir(settings: Settings) -> Path:
    """Return where the supervisor's socket lies."""
    return settings.home / "run"


def log_dir(settings: Settings) -> Path:
    """Return where the services' logs lie."""
    return settings.home / "logs"


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    try:
        with locked(run_dir(settings) / "stack.lock", timeout_seconds=0):
            yield
    except LockTimeoutError as error:
        raise StackError(f"a stack already runs in {settings.home}: stop it first") from error


def _set_aside(settings: Settings, say: Say) -> None:
    """Move what a replay left out of the way, all of it: a bot that is ahead of its exchange can do nothing."""
    own = (settings.bot.state_dir, settings.bot.models_dir, settings.sandbox.state_dir)
    folders = [settings.path(folder) for folder in own] + [settings.home / name for name in (*_SERVERS_STATE, "life")]
    if settings.sandbox.enabled:
        from nightdesk_trendbot.candle_store import source_folder

        # The next replay may be of another market; what was collected from a real exchange stays.
        folders.append(source_folder(settings.path(settings.trendbot.data_dir), settings.trendbot.exchange.source))
    left = [folder for folder in folders if folder.exists()]
    if not left:
        return
    aside = settings.home / "old" / f"{utc(time.time()):%Y%m%dT%H%M%SZ}"
    make_folder(aside)
    for path in left:
        shutil.move(path, aside / path.name)
        make_folder(path)  # the servers expect the folder that their command was made with
    say(f"the last replay was set aside in {aside}")
    for replay in sorted(aside.parent.iterdir(), reverse=True)[settings.retention.replays :]:
        shutil.rmtree(replay)
        say(f"{replay} was removed: retention.replays says how many are kept")


def _bootstrap(settings_file: Path, overrides: Sequence[str], say: Say) -> None:
    say("training the first model on what lies before the replay")
    sets = [part for assignment in overrides for part in ("--set", assignment)]
    command = [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), *sets, "retrain", "--bootstrap"]
    # In a session of its own: a terminal that is closed does not end it.
    done = subprocess.run(dying_with_parent(command, signal="TERM"), start_new_session=True, check=False)
    if done.returncode != 0:
        raise StackError("the first model could not be trained; the reason stands above")


def _await_healthy(stack: RunningStack, names: set[str], say: Say) -> None:
    deadline = time.monotonic() + _HEALTHY_SECONDS
    announced: set[str] = set()
    while True:
        states = [state for state in stack.states() if state.name in names]
        for state in states:
            if state.healthy and state.name not in announced:
                announced.add(state.name)
                say(f"{state.name} is up")
        if all(state.healthy for state in states):
            return
        if time.monotonic() > deadline:
            failed = [state for state in states if not state.healthy]
            logs = "; ".join(
                f"{state.name} is {state.state}, see {log_dir(stack.settings) / state.name}.log" for state in failed
            )
            raise StackError(f"not everything came up: {logs}")
        time.sleep(_POLL_SECONDS)
