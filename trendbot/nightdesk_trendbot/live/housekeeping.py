"""What the live bot does beside its candles: heartbeat, kill switch, self-test, clock, and what it owes others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import ccxt
from nightdesk_core.clock import TimeScale
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import BotExporter
from nightdesk_guard import GuardRuntime

from nightdesk_trendbot.live.disk import Disk
from nightdesk_trendbot.live.safety import Safety
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.exchange import Exchange

_SECONDS = 0.5
_CLOCK_SECONDS = 60.0
"""How often the exchange's clock is held against ours."""
_AGAIN_SECONDS = 1.0
_PROMPT_SECONDS = 1.0
"""An answer that takes longer is not taken for the time."""
_SELF_TEST_SECONDS = float(DAY_SECONDS)
_UNTRIED_SECONDS = 1.0
"""How soon the kill switch is tried again where the disk did not let it be tried."""


class Housekeeping:
    """The live bot's regular duties, each a task of its own, though the next candle may be an hour away."""

    def __init__(
        self,
        guard: GuardRuntime,
        disk: Disk,
        safety: Safety,
        market_clock: MarketClock,
        *,
        exporter: BotExporter,
        scale: TimeScale,
        enforce_kill_switch: Callable[[], None],
        take_tried_model: Callable[[], None],
        kill_switch_defects: Callable[[], str],
    ) -> None:
        """`kill_switch_defects` returns what of the bot would not obey the switch, empty where all of it would."""
        self._guard = guard
        self._disk = disk
        self._safety = safety
        self._market_clock = market_clock
        self._exporter = exporter
        self._scale = scale
        self._enforce_kill_switch = enforce_kill_switch
        self._take_tried_model = take_tried_model
        self._kill_switch_defects = kill_switch_defects

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return the duties that need no exchange; each goes on for ever."""
        return [self._keep_house(), self._deliver(), self._self_test()]

    async def watch_clock(self, exchange: Exchange) -> None:
        """Hold the exchange's clock against ours now and then."""
        while True:
            # Where the exchange does not answer, the feed says so.
            with suppress(ccxt.BaseError):
                asked = time.monotonic()
                now = await exchange.now()
                # An answer that took long says little of what time it is: better none than a false alarm.
                if time.monotonic() - asked < _PROMPT_SECONDS:
                    self._market_clock.observe(now)
            if self._market_clock.offset_seconds is not None:
                self._exporter.clock_offset(self._market_clock.offset_seconds)
            # Entries are blocked while it is off: whether it still is must not take another minute to learn.
            await asyncio.sleep(_AGAIN_SECONDS if self._safety.clock_is_off else self._scale.limit(_CLOCK_SECONDS))

    async def _keep_house(self) -> None:
        """Beat the heart, do as the kill switch says, write what the disk did not take, take a model that was tried."""
        while True:
            self._exporter.heartbeat()
            self._disk.look()
            try:
                self._enforce_kill_switch()
            except Exception as error:  # noqa: BLE001 - whatever it is: a bot that cannot be stopped must not trade
                self._guard.trip(f"the kill switch could not be enforced ({error!r})")
            self._take_tried_model()
            await asyncio.sleep(_SECONDS)

    async def _deliver(self) -> None:
        """Tell audit log and retrain job what the journal holds for them, however long their locks are held."""
        while True:
            await self._guard.tell_in_background()
            await asyncio.sleep(_SECONDS)

    async def _self_test(self) -> None:
        """Try the kill switch once a day, beginning now."""
        while True:
            tried = await asyncio.to_thread(self._guard.self_test, self._kill_switch_defects)
            await asyncio.sleep(_SELF_TEST_SECONDS if tried else _UNTRIED_SECONDS)
