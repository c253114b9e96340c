"""The markets, as Binance's two `exchangeInfo` describe them: perpetuals in USDT, and spot pairs."""

from __future__ import annotations

from typing import Any

from nightdesk_sandbox.instrument import QUOTE_COIN, Instrument

_NEVER = 4_133_404_800_000
"""The delivery date of what is never delivered, in milliseconds: so Binance marks perpetuals."""


def perpetual(instrument: Instrument, *, closed: bool) -> dict[str, Any]:
    """Return the entry of `/fapi/v1/exchangeInfo`."""
    decimals = len(instrument.lots.step.partition(".")[2])
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _NEVER,
        "onboardDate": instrument.launched_at * 1000,
        "status": "CLOSE" if closed else "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base_coin,
        "quoteAsset": QUOTE_COIN,
        "marginAsset": QUOTE_COIN,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [*_filters(instrument), {"filterType": "MIN_NOTIONAL", "notional": "100"}],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def pair(instrument: Instrument, *, closed: bool) -> dict[str, Any]:
    """Return the entry of `/api/v3/exchangeInfo`."""
    return {
        "symbol": instrument.symbol,
        "status": "BREAK" if closed else "TRADING",
        "baseAsset": instrument.base_coin,
        "baseAssetPrecision": 8,
        "quoteAsset": QUOTE_COIN,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [*_filters(instrument), {"filterType": "NOTIONAL", "minNotional": "5.00000000"}],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _filters(instrument: Instrument) -> list[dict[str, Any]]:
    lots = instrument.lots
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": instrument.tick,
            "maxPrice": "4529764",
            "tickSize": instrument.tick,
        },
        {"filterType": "LOT_SIZE", "minQty": lots.step, "maxQty": lots.largest, "stepSize": lots.step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": lots.step, "maxQty": lots.largest_at_market, "stepSize": lots.step},
    ]
