"""How whoever waits for something in the inbox learns that it has changed."""

from __future__ import annotations

import asyncio


class Change:
    """Wakes all who wait, each time that something has changed. For one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_seconds: float) -> bool:
        """Return whether something changed from now on within `timeout_seconds`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True
