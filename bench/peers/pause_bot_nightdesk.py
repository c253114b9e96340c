"""A bot's exporter of 10,000 series, served by itself, all its threads running: `… scrapes [paused]`."""

from __future__ import annotations

import asyncio
import sys

from bot import bot
from busy import scraped

with bot(pause_garbage_collection="paused" in sys.argv) as exporter:
    asyncio.run(scraped(exporter.url.removeprefix("http://"), scrapes=int(sys.argv[1])))
