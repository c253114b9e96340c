"""A bot of your own in asyncio, watched by Nightdesk. Run it, and open the address that it prints."""

import asyncio
import os
import time

from nightdesk_exporter import BotExporter

SYMBOLS, PORT = [("BTC/USDT", "1s"), ("ETH/USDT", "1s")], int(os.environ.get("PORT", "8700"))


async def trade(symbol: str, exporter: BotExporter) -> None:
    while True:
        exporter.heartbeat()
        with exporter.request(f"a candle of {symbol}"):
            await asyncio.sleep(1)  # your exchange's client
        exporter.candle(symbol, "1s", close_time=time.time())
        exporter.decision(symbol)
        exporter.equity(10_000.0)


async def main() -> None:
    async with BotExporter("mine", symbols=SYMBOLS, port=PORT) as exporter, asyncio.TaskGroup() as tasks:
        print(exporter.url, flush=True)
        exporter.model("v1", trained_at=time.time())
        for symbol, _ in SYMBOLS:
            tasks.create_task(trade(symbol, exporter))


asyncio.run(main())
