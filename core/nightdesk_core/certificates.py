"""How long a server's certificate is still good, as the server shows it."""

from __future__ import annotations

import math
import ssl
from typing import Any

from nightdesk_core.clock import WallTime
from nightdesk_core.units import DAY_SECONDS

WARNING_DAYS = 14
"""A certificate that is renewed by itself is so a month before; by then a person has two weeks left."""


def days_left(certificate: Any, *, now: WallTime) -> int | None:
    """Return the whole days until a certificate ends, below 0 afterwards; `certificate` is what `getpeercert` returns.

    `None` where it does not say.
    """
    ends = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not isinstance(ends, str):
        return None
    return math.floor((ssl.cert_time_to_seconds(ends) - now.seconds) / DAY_SECONDS)


def why_refused(error: ssl.SSLError) -> str:
    """Return why a certificate is refused: that it has expired, is for another name, or is signed by nobody known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    return f"the TLS connection failed ({error.reason})"
