"""What `nightdesk run` shows has no say in what it does: a reader may be slow, stand still, be gone, know no letter."""

from __future__ import annotations

import os
import pty
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest
from nightdesk.stack.display import Display
from nightdesk_core.text import line


@contextmanager
def piped(*, encoding: str = "utf-8") -> Iterator[tuple[TextIO, int]]:
    """Yield a stream and the descriptor that its reader has; whoever is not done with them closes them."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding=encoding) as stream:
        yield stream, reader


def read_all(reader: int) -> str:
    """Return what was written until the writers have closed."""
    with os.fdopen(reader, encoding="utf-8") as stream:
        return stream.read()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lines_come_in_order_with_the_seconds_since_the_beginning() -> None:
    with piped() as (stream, reader):
        with Display(stream) as display:
            display.say("one")
            display.lines(["service  state", "bot      healthy"])
            display.say("two")
        stream.close()
        assert [part.split(" s  ")[-1] for part in read_all(reader).splitlines()] == [
            "one",
            "service  state",
            "bot      healthy",
            "two",
        ]


def test_known_failure_21_markup_and_commands_in_what_is_said_are_text() -> None:
    with piped() as (stream, reader):
        with Display(stream) as display:
            display.say("[/boom] \x1b]0;owned\x07\nall is up")
            display.lines(["\x1b[2J"])
        stream.close()
        said = read_all(reader)
    assert "[/boom] \ufffd]0;owned\ufffd all is up\n\ufffd[2J\n" in said


def test_a_live_line_that_fails_is_said_and_followed_on() -> None:
    calls: list[int] = []

    def live() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("bot")
        return "it is well again"

    first, second = pty.openpty()
    with os.fdopen(second, "w", encoding="utf-8") as stream:
        with Display(stream) as display:
            display.follow(live)
            until(lambda: len(calls) >= 3)
        shown = os.read(first, 65_536).decode()
    os.close(first)
    assert "the live line cannot be shown: KeyError" in shown
    assert "it is well again" in shown


def test_a_live_line_that_hangs_holds_up_nobody() -> None:
    begun, over = time.monotonic(), threading.Event()
    with piped() as (stream, reader), Display(stream) as display:
        display.follow(lambda: "late" if over.wait(60) else "")
        time.sleep(0.7)
        for number in range(10_000):
            display.say(f"line {number}")
    over.set()
    os.close(reader)
    assert time.monotonic() - begun < 10


def test_a_closed_pipe_a_reader_who_stands_still_and_no_output_at_all_hold_up_nobody() -> None:
    with piped() as (gone, reader), piped() as (full, still):
        os.close(reader)
        begun = time.monotonic()
        for stream in (gone, full, None):
            with Display(stream) as display:
                for number in range(5000):
                    display.say(f"line {number} {'x' * 200}")
        os.close(still)
        assert time.monotonic() - begun < 10


def test_a_terminal_that_is_gone_holds_up_nobody() -> None:
    first, second = pty.openpty()
    with os.fdopen(second, "w", encoding="utf-8") as stream, Display(stream) as display:
        display.say("it is here")
        until(lambda: b"it is here" in os.read(first, 1000))
        os.close(first)
        display.follow(lambda: "live")
        time.sleep(0.7)
        display.say("nobody reads this")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_letters_that_the_terminal_does_not_know_are_replaced(encoding: str) -> None:
    with piped(encoding=encoding) as (stream, reader):
        with Display(stream) as display:
            display.say("5 € · 比特币")
        stream.close()
        said = os.read(reader, 1000).decode(encoding)
        os.close(reader)
    assert line(said.rstrip("\n")) == said.rstrip("\n")
    assert said.rstrip("\n").endswith(("?", "???"))
