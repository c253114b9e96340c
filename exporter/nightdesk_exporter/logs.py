"""Logging, set up in one place: a console that people read, and a JSON file that rotates."""

from __future__ import annotations

import sys
from pathlib import Path

from loguru import logger

_CONSOLE = "<green>{time:YYYY-MM-DD HH:mm:ss}</green> <level>{level: <8}</level> {message}"


def set_up(program: str, *, folder: Path | None = None, level: str = "INFO") -> None:
    """Log to standard error and, where a folder is given, to `<program>.jsonl` in it: ten files of 10 MB."""
    logger.remove()
    logger.add(sys.stderr, format=_CONSOLE, level=level, backtrace=False, diagnose=False)
    if folder is not None:
        logger.add(
            folder / f"{program}.jsonl",
            serialize=True,
            rotation="10 MB",
            retention=10,
            level=level,
            backtrace=False,
            diagnose=False,
        )
