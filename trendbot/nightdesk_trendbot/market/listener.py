"""Who is told of requests to an exchange: how they end, and that it answered."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class RequestListener(Protocol):
    """Is told how requests end."""

    def contact(self, channel: str) -> None:
        """The exchange answered."""

    def request(self, what: str) -> AbstractContextManager[object]:
        """Return what a request is made in: it is told how that ends."""


class SilentListener:
    """Listens to nothing: for jobs that export no metrics of their requests."""

    def contact(self, channel: str) -> None:
        """Do nothing."""

    def request(self, what: str) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()
