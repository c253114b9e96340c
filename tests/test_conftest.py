"""What tests leave behind in the process that runs them: nothing that logs to a stream that is closed by then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import CHECKOUT

SUITE = """
import atexit
import logging

from loguru import logger
from nightdesk_exporter import logs

atexit.register(lambda: logger.warning("the desk, after the tests"))
atexit.register(lambda: logging.getLogger("library").warning("a library, after the tests"))


def test_a_program_under_test_sets_logging_up(capsys):
    logs.set_up("bot")
    logging.getLogger("library").warning("in the test")
    assert capsys.readouterr().err.rstrip().endswith("WARNING  in the test")


def test_the_next_one_hears_nothing_of_it(capsys):
    assert not [handler for handler in logging.root.handlers if type(handler).__module__ == logs.__name__]
    logger.warning("as ever")
    assert " | WARNING  | " in capsys.readouterr().err
"""


def test_what_is_logged_when_the_tests_are_over_goes_to_no_stream_of_theirs(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(tmp_path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert [said.count(words) for words in ("the desk, after the tests", "a library, after the tests")] == [1, 1], said
    assert "Logging error" not in said
    assert "Traceback" not in said
