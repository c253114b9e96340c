"""A registry of 10,000 series: ten gauges of a thousand symbols each. Runs in every environment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

GAUGES = 10
SYMBOLS = 1_000


def fill(registry: CollectorRegistry) -> None:
    for number in range(GAUGES):
        gauge = Gauge(f"family_{number}", "One of ten families.", ["symbol", "side"], registry=registry)
        for symbol in range(SYMBOLS):
            gauge.labels(f"SYM{symbol}/USDT:USDT", "long").set(symbol * 1.37)
