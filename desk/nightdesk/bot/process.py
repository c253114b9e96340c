"""The bot's process: trades until it is told to stop, and takes over changed settings when it is told to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger
from nightdesk_core.settings import SettingsError

from nightdesk import home
from nightdesk.bot.reload import reload
from nightdesk.settings import Settings

if TYPE_CHECKING:
    from nightdesk_trendbot.live import LiveBot

_AGAIN_SECONDS = 1.0


async def trade(read_settings: Callable[[], Settings]) -> None:
    """Run the bot until SIGTERM or SIGINT; SIGHUP reads the settings anew. Raises `NightdeskError`."""
    hang_up = asyncio.Event()
    # From the start on: what nobody handles would end the process.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up.set)
    # The numbers are loaded now that the signal is handled: it takes seconds.
    from nightdesk.bot.parts import live_bot

    settings = read_settings()
    home.close_to_others(settings)
    with live_bot(settings) as live:
        trading = asyncio.create_task(live.run())
        taking_over = asyncio.create_task(_take_over(live, settings, read_settings, hang_up))
        _stop_on_signals(trading)
        try:
            await trading
        except asyncio.CancelledError:
            logger.info("stopped; the journal goes on from here")
        finally:
            taking_over.cancel()


async def _take_over(
    live: LiveBot, settings: Settings, read_settings: Callable[[], Settings], hang_up: asyncio.Event
) -> None:
    from nightdesk.bot.parts import tuning

    while True:
        await hang_up.wait()
        hang_up.clear()
        try:
            found = reload(settings, read_settings())
        except SettingsError as error:
            logger.error("the settings stay as they were: {}", error)
            continue
        settings = found.settings
        live.adopt(tuning(settings))
        logger.info("settings taken over: {}", ", ".join(found.taken) or "nothing")
        if found.waiting:
            logger.warning("these changes wait for a restart of the bot: {}", ", ".join(found.waiting))


def _stop_on_signals(trading: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not trading.done():
            trading.cancel()
            # A library below may have swallowed it: then it is told again.
            loop.call_later(_AGAIN_SECONDS, stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
