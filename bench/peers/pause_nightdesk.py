"""10,000 series, served by the exporter's server: `… scrapes [paused]`, the latter with garbage collection paused."""

from __future__ import annotations

import asyncio
import sys

from busy import scraped
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.server import ExporterServer
from prometheus_client import CollectorRegistry
from series import fill

registry = CollectorRegistry()
fill(registry)
server = ExporterServer(
    registry,
    host="127.0.0.1",
    port=0,
    health=lambda: Health(Verdict.HEALTHY, ()),
    status=dict,
    pause_garbage_collection="paused" in sys.argv,
)
asyncio.run(scraped(server.url.removeprefix("http://"), scrapes=int(sys.argv[1])))
server.close()
