"""What every room's tests share."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from loguru import logger
from nightdesk.stack.tools import Tools, ensure_tools

CHECKOUT = Path(__file__).resolve().parent.parent
WHOLE_PROGRAMS = CHECKOUT / "tests" / "e2e"
# Bots of the tests, and of the processes that they start, are not listed among this user's own.
_BOTS = tempfile.TemporaryDirectory(prefix="nightdesk-bots-")
os.environ["NIGHTDESK_BOTS_DIR"] = _BOTS.name

# How long an example takes says nothing on a busy machine. Continuous integration tries the same examples each time:
# new ones are for whoever can look into what they find.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile(os.environ.get("NIGHTDESK_EXAMPLES", "random"))


def _write_to_standard_error(line: str) -> None:
    sys.stderr.write(line)


def log_to_standard_error() -> None:
    """Log to what is standard error at the time: pytest has others than the process, and closes them."""
    logger.remove()
    logger.configure(patcher=lambda _: None)
    logger.add(_write_to_standard_error)


log_to_standard_error()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole programs: they wait most and last longest, and no worker is left alone with them at the end."""
    items.sort(key=lambda item: not item.path.is_relative_to(WHOLE_PROGRAMS))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Take back what a program under test sets up for its whole process: it would log to what the test had."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    added = [handler for handler in logging.root.handlers if handler not in handlers]
    for handler in added:
        logging.root.removeHandler(handler)
    if added:
        logging.root.setLevel(level)
        log_to_standard_error()


@pytest.fixture(autouse=True)
def no_other_bots(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test find no bots but its own."""
    monkeypatch.setenv("NIGHTDESK_BOTS_DIR", str(tmp_path_factory.mktemp("bots", numbered=True)))


@pytest.fixture(autouse=True)
def umask_as_it_was() -> Iterator[None]:
    """Take back the umask that the command line sets for its whole process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The real servers and their checkers, fetched once into the checkout's `var`."""
    return ensure_tools(CHECKOUT / "var", progress=print)
