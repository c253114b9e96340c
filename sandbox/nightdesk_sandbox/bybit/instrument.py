"""The markets, as Bybit describes linear perpetuals."""

from __future__ import annotations

from typing import Any

from nightdesk_sandbox.instrument import QUOTE_COIN, Instrument


def describe(instrument: Instrument, *, closed: bool) -> dict[str, Any]:
    """Return the entry of `/v5/market/instruments-info`."""
    lots = instrument.lots
    return {
        "symbol": instrument.symbol,
        "contractType": "LinearPerpetual",
        "status": "Closed" if closed else "Trading",
        "baseCoin": instrument.base_coin,
        "quoteCoin": QUOTE_COIN,
        "settleCoin": QUOTE_COIN,
        "launchTime": str(instrument.launched_at * 1000),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(instrument.price_decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": instrument.tick, "maxPrice": "1999999", "tickSize": instrument.tick},
        "lotSizeFilter": {
            "minNotionalValue": "5",
            "maxOrderQty": lots.largest,
            "maxMktOrderQty": lots.largest_at_market,
            "minOrderQty": lots.step,
            "qtyStep": lots.step,
            "postOnlyMaxOrderQty": lots.largest,
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "none",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
    }
