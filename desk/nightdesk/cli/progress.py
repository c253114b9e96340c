"""Progress of long work: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loguru import logger
from nightdesk_core.models.pipeline import Progress
from nightdesk_core.text import line
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


@contextmanager
def show_progress(title: str) -> Iterator[Progress]:
    """Yield a function that takes a stage's name and the share of it that is done. It never raises for the display."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _plain(title)
        return
    # A stage's name is the strategy's own text: no markup is read in it.
    columns = (
        TextColumn("{task.description:12}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars = Bars(*columns, console=_QuietConsole(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}

    def show(stage: str, share: float) -> None:
        with suppress(OSError):
            if stage not in tasks:
                tasks[stage] = bars.add_task(line(stage), total=1.0)
            bars.update(tasks[stage], completed=share)

    with suppress(OSError):
        bars.start()
    try:
        yield show
    finally:
        with suppress(OSError):
            bars.stop()


class _QuietConsole(Console):
    """A console whose reader may go: rich would end the program for it."""

    def on_broken_pipe(self) -> None:
        """Go on."""


def _plain(title: str) -> Progress:
    said: set[tuple[str, bool]] = set()

    def show(stage: str, share: float) -> None:
        over = share >= 1.0
        if (stage, over) not in said:
            said.add((stage, over))
            logger.info("{}: {} {}", title, stage, "is done" if over else "begins")

    return show
