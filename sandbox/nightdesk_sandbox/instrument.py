"""The markets of the replay exchange: what they are, and in which steps they are traded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nightdesk_sandbox.recordings.candles import RecordedCandles

QUOTE_COIN = "USDT"


@dataclass(frozen=True)
class LotSize:
    """In which steps a market is traded, and how much at once: by limit order, and at the market."""

    step: str = "0.001"
    largest: str = "1190.000"
    largest_at_market: str = "500.000"


_LOT_SIZES = {"EURUSDT": LotSize(step="1", largest="5000000", largest_at_market="2000000")}


@dataclass(frozen=True)
class Instrument:
    """What is traded under a symbol such as BTCUSDT; its tick is that of the candles.

    As a perpetual ccxt calls it `BTC/USDT:USDT`, at a venue's spot market `BTC/USDT`.
    """

    symbol: str
    launched_at: int
    price_decimals: int

    @classmethod
    def of(cls, candles: RecordedCandles, *, symbol: str) -> Instrument:
        """Return the market in which `candles` were traded."""
        return cls(symbol, launched_at=int(candles.time[0]), price_decimals=candles.price_decimals)

    @property
    def base_coin(self) -> str:
        """What is traded, such as BTC."""
        return self.symbol.removesuffix(QUOTE_COIN)

    @property
    def tick(self) -> str:
        """The smallest step of a price."""
        return plain(10**-self.price_decimals)

    @property
    def lots(self) -> LotSize:
        """In which steps it is traded."""
        return _LOT_SIZES.get(self.symbol, LotSize())


def plain(number: float) -> str:
    """Return a number as venues write one: as short as it can be without loss, and never with an exponent."""
    return np.format_float_positional(number, trim="-")
