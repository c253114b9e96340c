"""The other side of a connection, as it has shown itself so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from nightdesk_exporter.web.rate import TokenBucket


@dataclass(eq=False)
class Peer:
    """How a connection stands: whether its answer is being made, since when (monotonic), and how many it had.

    `known` is one whose last request came with a right password or over a verified client certificate. `bucket` is its
    own: several bots, containers and pods come from one address, and what one of them does is no matter of the others.
    """

    busy: bool = False
    since: float = field(default_factory=time.monotonic)
    answered: int = 0
    known: bool = False
    bucket: TokenBucket = field(default_factory=TokenBucket)

    def turn(self, *, busy: bool) -> None:
        """Note that an answer is being made from now on, or that it is made."""
        self.busy = busy
        self.since = time.monotonic()
