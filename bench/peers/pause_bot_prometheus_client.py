"""The same bot's exporter of 10,000 series, served by prometheus_client's own server, on a thread."""

from __future__ import annotations

import asyncio
import sys

from bot import bot
from busy import scraped
from prometheus_client import start_http_server

server, _ = start_http_server(0, addr="127.0.0.1", registry=bot().registry)
asyncio.run(scraped(f"127.0.0.1:{server.server_port}", scrapes=int(sys.argv[1])))
server.shutdown()
