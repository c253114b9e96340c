"""SIGTERM ends the bot's block, as Ctrl-C does: a container engine and a supervisor stop a process by it.

Python's own answer to it is to end at once: no last status, and no alert that waited is kept.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Literal

OnSigterm = Literal["end", "tell", "leave"]
"""`end`: the block ends by `SystemExit`. `tell`: and people are told, as of a crash. `leave`: it is none of ours."""
EXIT_CODE = 128 + signal.SIGTERM


class Sigterm:
    """Handles SIGTERM for the length of a block that the main thread is in, where nobody else does."""

    def __init__(self, on_sigterm: OnSigterm) -> None:
        self._wanted = on_sigterm != "leave"
        self._tells = on_sigterm == "tell"
        self._came = False
        self._ours = False

    @property
    def is_to_be_told(self) -> bool:
        """Whether it came, and people want to know."""
        return self._came and self._tells

    def begin(self) -> None:
        """Handle it from now on; a handler of the bot's own, or of its framework, stays in force."""
        if not self._wanted or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._end)
            self._ours = True

    def finish(self) -> None:
        """Give it back, unless somebody has taken it meanwhile."""
        if self._ours and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) == self._end:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._ours = False

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        raise SystemExit(EXIT_CODE)
