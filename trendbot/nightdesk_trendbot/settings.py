"""Settings of the reference bot."""

from __future__ import annotations

from typing import Any, Literal, Self

from nightdesk_core.settings import SettingsModel
from pydantic import Field, model_validator


class ExchangeSettings(SettingsModel):
    """Any ccxt exchange with a public candle stream. No key is needed: orders stay on paper."""

    id: str = Field("bybit", description="The exchange's name in ccxt.")
    testnet: bool = False
    options: dict[str, Any] = Field(default_factory=dict, description="Passed to ccxt as its options.")
    rest_url: str = Field("", description="Where its REST interface is served, if not at the exchange itself.")
    stream_url: str = Field("", description="Where its websocket is served, if not at the exchange itself.")


class RegimeSettings(SettingsModel):
    """Which market the bot trades in: ADX (Wilder) against its limit, the EMA's side, ATR against its own average."""

    enabled: bool = True
    adx_bars: int = Field(14, ge=2, le=60)
    adx_threshold: float = Field(25, gt=0, lt=100)
    ema_bars: int = Field(50, ge=2, le=120)
    atr_bars: int = Field(14, ge=2, le=60)
    atr_average_bars: int = Field(100, ge=10, le=200)
    high_volatility_multiple: float = Field(2.0, gt=1)
    high_volatility_size: float = Field(0.5, ge=0, le=1)


class EntrySettings(SettingsModel):
    """When a position is opened: a breakout in the regime's direction that the meta-model agrees with."""

    breakout_bars: int = Field(24, ge=2, le=200)
    threshold: float = Field(0.6, gt=0, lt=1)
    threshold_mode: Literal["quantile"] = Field(
        "quantile", description="The threshold is a quantile of purged out-of-fold probabilities."
    )


class BarrierSettings(SettingsModel):
    """When a position is closed."""

    target_ratio: float = Field(0.02, gt=0, lt=1)
    stop_ratio: float = Field(0.01, gt=0, lt=1)
    holding_hours: float = Field(24, gt=0)


class SizingSettings(SettingsModel):
    """How large a position is: notional over equity such that a day moves equity by `daily_volatility`."""

    daily_volatility: float = Field(0.01, gt=0, lt=1)
    leverage_cap: float = Field(2.0, gt=0)
    volatility_bars: int = Field(72, ge=24, le=400)
    provisional_share: float = Field(
        0.25, gt=0, le=1, description="Share of its size at which a provisional champion trades."
    )


class CostSettings(SettingsModel):
    """What trading costs, as shares of notional. 0.055% is Bybit's taker fee; a round trip is 0.14%."""

    fee_ratio: float = Field(0.00055, ge=0, lt=0.1)
    slippage_ratio: float = Field(0.00015, ge=0, lt=0.1)
    funding_ratio: float = Field(
        0.0, gt=-0.1, lt=0.1, description="Paid by longs every 8 hours; synthetic, 0 by default."
    )


class ModelSettings(SettingsModel):
    """How the meta-model is trained."""

    ensemble_weights: tuple[float, float] = Field((0.7, 0.3), description="LightGBM, logistic regression.")
    folds: int = Field(5, ge=2, le=20)
    embargo_hours: float = Field(24, ge=0)
    seed: int = 7

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        if min(self.ensemble_weights) < 0 or abs(sum(self.ensemble_weights) - 1) > 1e-9:
            raise ValueError("ensemble_weights must not be negative and must sum to 1")
        return self


class TrendbotSettings(SettingsModel):
    """The reference bot: one symbol, one timeframe, paper orders."""

    exchange: ExchangeSettings = ExchangeSettings()
    symbol: str = "BTC/USDT:USDT"
    timeframe: Literal["1h"] = "1h"
    initial_equity: float = Field(10_000, gt=0)
    currency: str = "USDT"
    regime: RegimeSettings = RegimeSettings()
    entry: EntrySettings = EntrySettings()
    barriers: BarrierSettings = BarrierSettings()
    sizing: SizingSettings = SizingSettings()
    costs: CostSettings = CostSettings()
    model: ModelSettings = ModelSettings()
