"""What every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk.tools import Tools, ensure_tools

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The real servers and their checkers, fetched once into the checkout's `var`."""
    return ensure_tools(CHECKOUT / "var", progress=print)
