"""The fault that is none of the exchange's: the market itself takes another way."""

from __future__ import annotations

from typing import Literal

from nightdesk_core.units import DAY_SECONDS
from pydantic import Field

from nightdesk_sandbox.faults.base import ExchangeControls, Fault


class PriceShock(Fault):
    """The prices of all candles that have not opened yet are multiplied by `1 + change`, for good.

    The next candle opens with the jump. It is the market's truth from then on, over REST and on the stream, also after
    a restart; what was served stays as it was. `seconds` is only how long the status lists it.
    """

    name: Literal["price_shock"]
    change: float = Field(gt=-1, le=10, allow_inf_nan=False)
    seconds: float = Field(60, gt=0, le=DAY_SECONDS, allow_inf_nan=False)

    async def begin(self, exchange: ExchangeControls) -> None:
        """Change the future."""
        exchange.scale_future(1 + self.change)
