"""Python's garbage collector while a scrape is rendered: left alone, unless the bot's owner asks for more.

A full collection cannot be sliced: with 10,000 series in the process it holds the interpreter lock for 20 ms, and the
samples of a rendering bring one about at every sixth scrape. They hold no cycles, so it could wait until they are
gone.
"""

from __future__ import annotations

import gc


class GarbageCollectionPause:
    """The whole process collects no garbage from entry to `end()`; where that is switched off already, it stays so."""

    def __init__(self) -> None:
        self._was_enabled = False

    def __enter__(self) -> None:
        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let it collect again; also from another thread, where a collector of metrics hangs."""
        if self._was_enabled:
            self._was_enabled = False
            gc.enable()
