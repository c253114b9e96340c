"""10,000 series, served by prometheus-async in the busy loop itself, as its documentation does."""

from __future__ import annotations

import asyncio
import sys

from busy import scraped
from prometheus_async.aio.web import start_http_server
from prometheus_client import REGISTRY
from series import fill


async def main() -> None:
    server = await start_http_server(addr="127.0.0.1")
    await scraped(f"127.0.0.1:{server.socket.port}", scrapes=int(sys.argv[1]))
    await server.close()


fill(REGISTRY)
asyncio.run(main())
