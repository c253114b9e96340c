"""The markets of the replay exchange, as Bybit describes linear perpetuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nightdesk_sandbox.candles import Candles

_QUOTE_COIN = "USDT"
CATEGORIES = ("spot", "linear", "inverse", "option")


@dataclass(frozen=True)
class LotSize:
    """In which steps a market is traded, and how much at once: by limit order, and at the market."""

    step: str = "0.001"
    largest: str = "1190.000"
    largest_at_market: str = "500.000"


_LOT_SIZES = {"EURUSDT": LotSize(step="1", largest="5000000", largest_at_market="2000000")}


@dataclass(frozen=True)
class Instrument:
    """A linear perpetual, such as BTCUSDT, which ccxt calls `BTC/USDT:USDT`. Its tick is that of the candles."""

    symbol: str
    launched_at: int
    price_decimals: int
    category: ClassVar[str] = "linear"

    @classmethod
    def of(cls, candles: Candles, *, symbol: str) -> Instrument:
        """Return the market in which `candles` were traded."""
        return cls(symbol, launched_at=int(candles.time[0]), price_decimals=candles.price_decimals)

    @property
    def base_coin(self) -> str:
        """What is traded, such as BTC."""
        return self.symbol.removesuffix(_QUOTE_COIN)

    @property
    def tick(self) -> str:
        """The smallest step of a price."""
        return plain(10**-self.price_decimals)

    def describe(self, *, closed: bool) -> dict[str, Any]:
        """Return the entry of `/v5/market/instruments-info`."""
        lots = _LOT_SIZES.get(self.symbol, LotSize())
        return {
            "symbol": self.symbol,
            "contractType": "LinearPerpetual",
            "status": "Closed" if closed else "Trading",
            "baseCoin": self.base_coin,
            "quoteCoin": _QUOTE_COIN,
            "settleCoin": _QUOTE_COIN,
            "launchTime": str(self.launched_at * 1000),
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": str(self.price_decimals),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {"minPrice": self.tick, "maxPrice": "1999999", "tickSize": self.tick},
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


def plain(number: float) -> str:
    """Return a number as Bybit writes one: as short as it can be without loss, and never with an exponent."""
    return np.format_float_positional(number, trim="-")
