"""The exporters that run in this process: a second one of the same bot and port takes the place of the first.

That is what a notebook's cell does that is run again: the exporter of its first run is still there, and holds the port.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

from loguru import logger


class Running(Protocol):
    """An exporter, as far as another one is concerned."""

    @property
    def place(self) -> tuple[str, str, int | None]:
        """The bot's name, and where its exporter was told to serve."""

    def __exit__(self, kind: None, error: None, trace: None, /) -> None: ...


_running: WeakSet[Running] = WeakSet()


def take_over(exporter: Running) -> None:
    """End the exporter that this process has already of a bot and its port, and say so. Port 0 is no one port."""
    for before in list(_running):
        if before.place == exporter.place and before.place[-1] != 0:
            logger.warning(
                "another exporter of {} begins in this process, as where a notebook's cell is run again: the one before"
                " ends, and what is still told to it reaches nobody",
                before.place[0],
            )
            before.__exit__(None, None, None)
    _running.add(exporter)


def ended(exporter: Running) -> None:
    """Note that an exporter has ended."""
    _running.discard(exporter)
