"""What holders of a perpetual pay each other, as the settings have it."""

from __future__ import annotations

from nightdesk_trendbot.market.exchange import Exchange
from nightdesk_trendbot.settings import CostSettings


async def funding_rates(
    exchange: Exchange, costs: CostSettings, symbol: str, *, start: int, stop: int
) -> dict[int, float]:
    """Return the rates that longs pay to shorts at the settlements in [start, stop), by their market time.

    Raises `ccxt.NetworkError` where the exchange is asked and does not answer.
    """
    every = costs.funding_hours * 3600
    if costs.funding == "fixed":
        return dict.fromkeys(range(-(-start // every) * every, stop, every), costs.funding_ratio)
    return await exchange.funding(symbol, start=start, stop=stop, every_seconds=every)
