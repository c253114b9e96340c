"""The bot's process: trades until it is told to stop, and takes over changed settings when it is told to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from loguru import logger
from nightdesk_core.settings import SettingsError

from nightdesk import wiring
from nightdesk.reload import reload
from nightdesk.settings import Settings


async def trade(read_settings: Callable[[], Settings]) -> None:
    """Run the bot until SIGTERM or SIGINT; SIGHUP reads the settings anew. Raises `NightdeskError`."""
    settings = read_settings()
    with wiring.live_bot(settings) as live:
        trading = asyncio.create_task(live.run())

        def take_over() -> None:
            nonlocal settings
            try:
                found = reload(settings, read_settings())
            except SettingsError as error:
                logger.error("the settings stay as they were: {}", error)
                return
            settings = found.settings
            wiring.adopt(live, settings)
            logger.info("settings taken over: {}", ", ".join(found.taken) or "nothing")
            if found.waiting:
                logger.warning("these changes wait for a restart of the bot: {}", ", ".join(found.waiting))

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, trading.cancel)
        loop.add_signal_handler(signal.SIGHUP, take_over)
        try:
            await trading
        except asyncio.CancelledError:
            logger.info("stopped; the journal goes on from here")
