"""What every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from nightdesk.stack.tools import Tools, ensure_tools

CHECKOUT = Path(__file__).resolve().parent.parent

# How long an example takes says nothing on a busy machine. Continuous integration tries the same examples each time:
# new ones are for whoever can look into what they find.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile(os.environ.get("NIGHTDESK_EXAMPLES", "random"))


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The real servers and their checkers, fetched once into the checkout's `var`."""
    return ensure_tools(CHECKOUT / "var", progress=print)
