"""A bot of your own that Nightdesk guards. It trades at random; put a file KILL into `state` to stop it."""

import os
import random
import time
from pathlib import Path

from nightdesk_exporter import BotExporter
from nightdesk_guard import Guard

SYMBOL, SIZE, PORT = "BTC/USDT", 0.1, int(os.environ.get("PORT", "8700"))
money, size, entry, shadow = 10_000.0, 0.0, 0.0, 0.0  # shadow: the price at which it would have entered

with (
    BotExporter("mine", symbols=[(SYMBOL, "1s")], port=PORT) as exporter,
    Guard(Path("state"), break_even_win_rate=0.5, reporter=exporter) as guard,
):
    print(exporter.url, flush=True)
    while True:
        price = random.gauss(30_000, 100)  # your exchange's client
        exporter.heartbeat()
        exporter.candle(SYMBOL, "1s", close_time=time.time())
        exporter.equity(equity := money + size * (price - entry))
        guard.equity(equity, leverage=size * price / equity)
        if size and (guard.must_close or random.random() < 0.3):
            guard.trade(profit=equity - money, risk=size * entry * 0.01)
            exporter.trade(SYMBOL, profit=equity - money)
            money, size = equity, 0.0
        if shadow and random.random() < 0.3:
            guard.shadow_trade(profit=SIZE * (price - shadow), risk=SIZE * shadow * 0.01)
            shadow = 0.0
        if not size:
            blocked = guard.blocked
            exporter.signal(SYMBOL, blocked or "entered")
            size, entry = 0.0 if blocked else SIZE * guard.size_multiplier, price  # a market order
        shadow = (shadow or price) if guard.trades_in_the_shadow else 0.0
        exporter.decision(SYMBOL)
        exporter.position(SYMBOL, "long" if size else None, size_ratio=size * price / money)
        guard.wait(1)
