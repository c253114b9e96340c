"""What a forked child must let go of: it has copies of its parent's sockets and locks, and none of its threads.

A child that keeps a copy of a listening socket keeps its port; one that keeps a copy of a locked file keeps the lock; a
lock that a thread of the parent's held at the fork is never released in the child. Whoever owns such things says so
with `tell_of_forks`. What is started anew (`spawn`, `forkserver`, `subprocess`) has no copies of anything.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """Owns what must not be used in two processes."""

    def forked(self) -> None:
        """Let go of it: this process is a child, in which no thread but the one that forked it lives.

        Waits for nothing, and touches nothing that it shares with the parent but to close its own copy.
        """


_aware: WeakSet[ForkAware] = WeakSet()


def tell_of_forks(owner: ForkAware) -> None:
    """Have `owner.forked` called in each child that is forked from now on, as long as the owner lives."""
    _aware.add(owner)


def _in_child() -> None:
    for owner in list(_aware):
        owner.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
