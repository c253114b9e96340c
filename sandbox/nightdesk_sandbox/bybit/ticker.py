"""A market's last price and its last 24 hours, as `/v5/market/tickers` lists them."""

from __future__ import annotations

from nightdesk_core.units import DAY_SECONDS

from nightdesk_sandbox.funding import next_funding
from nightdesk_sandbox.instrument import plain
from nightdesk_sandbox.market import ReplayMarket


def ticker(market: ReplayMarket, *, now: float, funding_rate: float) -> dict[str, str]:
    """Return the entry of a market at the market time `now`. There is no book: bid and ask are the last price."""
    hours = market.hours
    closed, forming = hours.confirmed(now), hours.forming(now)
    # Where the candles lack a whole day the last one before it is all there is.
    first = min(hours.index_after(now - DAY_SECONDS), closed - 1)
    day = [hours.candle(index) for index in range(first, closed)]
    if forming is not None:
        day.append(forming)
    last, before = plain(day[-1].close), day[0].open
    return {
        "symbol": market.symbol,
        "lastPrice": last,
        "indexPrice": last,
        "markPrice": last,
        "bid1Price": last,
        "bid1Size": "0",
        "ask1Price": last,
        "ask1Size": "0",
        "prevPrice24h": plain(before),
        "price24hPcnt": plain(round(day[-1].close / before - 1, 6)),
        "highPrice24h": plain(max(candle.high for candle in day)),
        "lowPrice24h": plain(min(candle.low for candle in day)),
        "volume24h": plain(round(sum(candle.volume for candle in day), 8)),
        "turnover24h": plain(round(sum(candle.turnover for candle in day), 4)),
        "openInterest": "0",
        "openInterestValue": "0",
        "fundingRate": plain(funding_rate),
        "nextFundingTime": str(next_funding(now) * 1000),
    }
