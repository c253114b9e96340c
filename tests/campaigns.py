"""How much a test tries: a seeded sample in the suite, or a long campaign of its own (`make fuzz`, `make kills`)."""

from __future__ import annotations

import os
import secrets

CAMPAIGN = os.environ.get("NIGHTDESK_CAMPAIGN") == "1"
SEED = int(os.environ.get("NIGHTDESK_SEED", secrets.randbits(32) if CAMPAIGN else 12))
"""Of everything that is drawn: fixed in the suite, new in each campaign. A test that fails must print it."""


def cases(*, sample: int, campaign: int) -> int:
    """Return how many cases to try: `sample` in the suite, `campaign` where one was asked for."""
    return campaign if CAMPAIGN else sample
