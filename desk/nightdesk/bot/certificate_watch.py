"""The running bot looks at the certificates that alerts depend on, and tells of one before it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from loguru import logger
from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.units import DAY_SECONDS

from nightdesk.certificates import Standing, standings
from nightdesk.settings import Settings

ALERT = "CertificateEndsSoon"
_LOOK_SECONDS = DAY_SECONDS / 4


class Teller(Protocol):
    """What the watch needs of the exporter."""

    def send_alert(self, alertname: str, *, severity: str, summary: str, description: str) -> None:
        """Tell people, without waiting."""

    def withdraw_alert(self, alertname: str) -> None:
        """Tell them that it is over."""


def tell(found: list[Standing], teller: Teller) -> None:
    """Tell of the certificates that end soon, or that none does."""
    soon = [standing.sentence for standing in found if standing.ends_soon]
    if not soon:
        teller.withdraw_alert(ALERT)
        return
    logger.warning("{}", "; ".join(soon))
    teller.send_alert(
        ALERT,
        severity="warning",
        summary="A certificate that alerts depend on ends soon, or is refused.",
        description=f"{'; '.join(soon)}. Renew it: nothing goes out over one that has ended. `nightdesk check` looks.",
    )


@contextmanager
def certificate_watch(settings: Settings, teller: Teller, *, clock: WallClock = system_clock) -> Iterator[None]:
    """Look every six hours for the length of the block, on a thread of its own: a server may take its time."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                tell(list(standings(settings, now=clock())), teller)
            except Exception as error:  # noqa: BLE001 - the top of a job: the next look may go better
                logger.warning("the certificates cannot be looked at ({})", type(error).__name__)
            over.wait(_LOOK_SECONDS)

    threading.Thread(target=watch, name="nightdesk-certificates", daemon=True).start()
    try:
        yield
    finally:
        over.set()
