"""A bot of so many symbols that its own metrics are 10,000 series."""

from __future__ import annotations

from nightdesk_exporter import BotExporter

SYMBOLS = [f"SYM{number}/USDT:USDT" for number in range(550)]
OUTCOMES = ("entered", "no_signal")


def bot(*, pause_garbage_collection: bool = False) -> BotExporter:
    """Return its exporter, every symbol of it seen, decided on and held."""
    exporter = BotExporter(
        "many",
        symbols=[(symbol, "1h") for symbol in SYMBOLS],
        outcomes=OUTCOMES,
        port=0,
        strict=True,
        pause_garbage_collection=pause_garbage_collection,
    )
    exporter.heartbeat()
    exporter.equity(10_000.0, peak=10_500.0, daily_pnl_ratio=-0.001)
    for number, symbol in enumerate(SYMBOLS):
        exporter.candle(symbol, "1h", close_time=1_700_000_000.0)
        exporter.decision(symbol, seconds=0.002)
        exporter.regime(symbol, "ranging")
        exporter.position(symbol, "long", size_ratio=0.001 * (1 + number % 3))
    return exporter
