"""Whether a certificate that alerts depend on is about to end."""

from __future__ import annotations

from nightdesk_core.clock import WallClock, system_clock

from nightdesk.certificates import standings
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings


def check_certificates(settings: Settings, *, clock: WallClock = system_clock) -> str:
    """Return for how long each certificate is good. Raises `SetupError` where one is refused or ends within 14 days."""
    found = list(standings(settings, now=clock()))
    said = "; ".join(standing.sentence for standing in found)
    if any(standing.ends_soon for standing in found):
        raise SetupError(f"{said}; renew what has less than two weeks left: no mail goes out over one that has ended")
    return said or "none: nothing that alerts depend on shows one"
