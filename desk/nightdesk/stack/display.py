"""What `nightdesk run` shows, apart from what it does: in a thread of its own, for which nothing waits.

A reader may be slow, stand still or be gone, the terminal closed, an answer late or nonsense: the stack runs on.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TextIO

from nightdesk_core.text import line

_TERMINAL_SECONDS = 0.5
_PLAIN_SECONDS = 5.0
_CLOSE_SECONDS = 3.0
_MOST_HELD = 1000
"""Lines that wait for a reader who stands still; later ones are dropped."""
_CLEAR_LINE = "\r\x1b[2K"


class Display:
    """Lines that are said once, and below them a live one: at a terminal in the place of the last.

    A context manager: at its end what was said has a moment to be written.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """`stream` is only asked for its descriptor: whoever else writes to it waits for nothing of ours."""
        self._begun = time.monotonic()
        self._descriptor: int | None = None
        self._encoding = "utf-8"
        self._terminal = False
        if stream is not None:
            with suppress(OSError, ValueError):
                self._encoding = stream.encoding
                self._terminal = stream.isatty()
                stream.flush()
                self._descriptor = os.dup(stream.fileno())
        self._said: queue.Queue[str | None] = queue.Queue(_MOST_HELD)
        self._live: Callable[[], str] | None = None
        self._thread = threading.Thread(target=self._show, name="nightdesk-display", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live = None
        with suppress(queue.Full):  # a reader who stands still is waited for no longer
            self._said.put(None, timeout=_CLOSE_SECONDS)
            self._thread.join(_CLOSE_SECONDS)

    def say(self, message: str) -> None:
        """Have a line shown, with the seconds since the beginning. Never waits and never fails."""
        stamp = f"{time.monotonic() - self._begun:6.1f} s"
        self._put(f"\x1b[2m{stamp}\x1b[22m  {line(message)}" if self._terminal else f"{stamp}  {line(message)}")

    def lines(self, text: list[str]) -> None:
        """Have lines shown as they are, such as a table's."""
        for each in text:
            self._put(line(each))

    def follow(self, live: Callable[[], str] | None) -> None:
        """Show what `live` returns from now on, again and again; None ends it. It may be slow, and may fail."""
        self._live = live

    def _put(self, text: str) -> None:
        with suppress(queue.Full):
            self._said.put_nowait(text)

    def _show(self) -> None:
        interval = _TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS
        due = 0.0
        while True:
            try:
                said = self._said.get(timeout=_TERMINAL_SECONDS)
            except queue.Empty:
                if self._live is not None and time.monotonic() >= due:
                    due = time.monotonic() + interval
                    self._show_live(self._live)
                continue
            if said is None:
                self._write(_CLEAR_LINE if self._terminal else "")
                if self._descriptor is not None:
                    os.close(self._descriptor)
                return
            self._write(f"{_CLEAR_LINE}{said}\n" if self._terminal else f"{said}\n")

    def _show_live(self, live: Callable[[], str]) -> None:
        try:
            shown = line(live())
        except Exception as error:  # noqa: BLE001 - the border: what shows must not end for what it shows
            shown = f"the live line cannot be shown: {type(error).__name__}"
        if self._live is None:
            return  # ended meanwhile
        if self._terminal:
            self._write(_CLEAR_LINE + shown[: shutil.get_terminal_size().columns - 1])
        else:
            self._write(f"{shown}\n")

    def _write(self, text: str) -> None:
        if self._descriptor is None:
            return
        left = text.encode(self._encoding, errors="replace")
        with suppress(OSError):  # a closed pipe, a terminal that is gone, a full disk
            while left:
                left = left[os.write(self._descriptor, left) :]
