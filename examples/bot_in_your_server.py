"""A bot with metrics, a web server and a log of its own. Run it, and open the address that it prints."""

import logging
import os
import threading
import time
from wsgiref.simple_server import make_server

from nightdesk_exporter import BotExporter
from nightdesk_exporter.log_bridges import send_to_logging, take_from_logging
from prometheus_client import REGISTRY, Counter

logging.basicConfig(level="INFO")
orders = Counter("my_orders", "Orders that were sent.")

exporter = BotExporter("mine", symbols=[], port=None, registry=REGISTRY)  # nothing is served by itself
server = make_server("127.0.0.1", int(os.environ.get("PORT", "8700")), exporter.wsgi_app())
threading.Thread(target=server.serve_forever, daemon=True).start()
send_to_logging()  # what Nightdesk says, to your handlers
take_from_logging("WARNING")  # what you and your libraries say, counted and kept by Nightdesk

with exporter:
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    exporter.model("v1", trained_at=time.time())
    while True:
        exporter.heartbeat()
        exporter.contact("rest")
        exporter.equity(10_000.0)
        orders.inc()
        time.sleep(1)
