"""The end of `nightdesk run`: it begins once, and nothing cuts it short."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest
from nightdesk.stack import run
from nightdesk.stack.supervision import Supervision
from nightdesk.stack.supervisor_client import SupervisorError

STOPPING = (signal.SIGINT, signal.SIGTERM)


def a_stack() -> Any:
    def states() -> list[Any]:
        raise AssertionError("nobody looks once the time is over")

    supervisor = SimpleNamespace(names=frozenset(), ended=None, states=states)
    return SimpleNamespace(supervisor=supervisor)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_once_the_time_is_over_cuts_the_orderly_end_not_short(number: signal.Signals) -> None:
    """The stack was up and healthy, and is stopped in order: nothing else is said of it."""
    with run._stop_signals() as end:
        run._look_after(a_stack(), deadline=time.monotonic(), end=end)
        signal.raise_signal(number)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_after_a_supervisor_that_cannot_be_started_again_leaves_that_error(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: object) -> None:
        raise SupervisorError("it cannot be started again")

    monkeypatch.setattr(Supervision, "look", look)
    with run._stop_signals() as end:
        with pytest.raises(SupervisorError):
            run._look_after(a_stack(), deadline=None, end=end)
        signal.raise_signal(number)


def test_the_first_signal_ends_the_wait_and_the_next_ones_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Supervision, "look", lambda _: signal.raise_signal(signal.SIGINT))
    with run._stop_signals() as end:
        run._look_after(a_stack(), deadline=None, end=end)
        for number in STOPPING:
            signal.raise_signal(number)
