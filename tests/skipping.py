"""What a machine lacks for a test: it is skipped on somebody's own, and fails where nothing may be left out."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

FAILS = "NIGHTDESK_SKIPS_FAIL"
"""Set to 1 by continuous integration (`.ci/run`): a check that it skips is one that nobody runs."""


def cannot_run(reason: str) -> NoReturn:
    """Skip the test, or the fixture's, that is running; fail it where continuous integration runs it."""
    if os.environ.get(FAILS) == "1":
        pytest.fail(f"{reason}, and {FAILS}=1 lets no test be skipped")
    pytest.skip(reason)
