"""A bot of your own, watched by Nightdesk. Run it, and open the address that it prints."""

import os
import random
import time
from pathlib import Path

from nightdesk_exporter import BotExporter

SYMBOL = "BTC/USDT"


def next_candle() -> tuple[float, float]:  # your exchange's client
    time.sleep(1)
    return time.time(), random.gauss(30_000, 100)


port, status_file = int(os.environ.get("PORT", "8700")), Path("bot_status.json")
with BotExporter("mine", symbols=[(SYMBOL, "1s")], port=port, status_file=status_file) as exporter:
    print(exporter.url, flush=True)
    exporter.model("v1", trained_at=time.time())
    while True:
        exporter.heartbeat()
        with exporter.request("a candle"):
            closed_at, price = next_candle()
        exporter.candle(SYMBOL, "1s", close_time=closed_at)
        exporter.position(SYMBOL, "long" if price < 30_000 else None, size_ratio=0.5)
        exporter.decision(SYMBOL)
        exporter.equity(10_000 + price / 30)
