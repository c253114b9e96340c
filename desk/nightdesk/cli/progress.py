"""Progress of long work: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger
from nightdesk_core.pipeline import Progress
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


@contextmanager
def show_progress(title: str) -> Iterator[Progress]:
    """Yield a function that takes a stage's name and the share of it that is done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(title)
        return
    columns = (TextColumn("{task.description:12}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=share)

        yield show


def _plain(title: str) -> Progress:
    said: set[tuple[str, bool]] = set()

    def show(stage: str, share: float) -> None:
        over = share >= 1.0
        if (stage, over) not in said:
            said.add((stage, over))
            logger.info("{}: {} {}", title, stage, "is done" if over else "begins")

    return show
