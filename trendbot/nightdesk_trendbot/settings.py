"""Settings of the reference bot."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from nightdesk_core.settings import SettingsModel
from pydantic import Field, field_validator, model_validator

Timeframe = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"]
"""Lengths of a candle that divide a day, as exchanges write them."""


class ExchangeSettings(SettingsModel):
    """Any ccxt exchange; for trading, one with a public candle stream. No key is needed: orders stay on paper."""

    id: str = Field("bybit", description="The exchange's name in ccxt.")
    testnet: bool = Field(False, description="The exchange's test network in place of the real one.")
    options: dict[str, Any] = Field(default_factory=dict, description="Passed to ccxt as its options.")
    rest_url: str = Field("", description="Where its REST interface is served, if not at the exchange itself.")
    rate_limited: bool = Field(
        True, description="Keep to the exchange's limit on requests. Off in the sandbox, whose time runs faster."
    )
    stream_url: str = Field("", description="Where its websocket is served, if not at the exchange itself.")

    @property
    def source(self) -> str:
        """What history belongs to: the exchange, its test network, or whoever speaks for it elsewhere."""
        host = urlsplit(self.rest_url).netloc.rpartition("@")[2]  # without a name and password that stand before it
        return f"{self.id}{'-testnet' if self.testnet else ''}{f'@{host}' if host else ''}"


class RegimeSettings(SettingsModel):
    """Which market the bot trades in: ADX (Wilder) against its limit, the EMA's side, ATR against its own average.

    A regime ends at another value than it began at, so that it does not flap about one.
    """

    enabled: bool = Field(True, description="Off: every breakout may be entered, at full size.")
    adx_bars: int = Field(14, ge=2, le=60, description="Bars of Wilder's smoothing of ADX.")
    adx_threshold: float = Field(25, gt=0, lt=100, description="A trend begins where ADX rises above this.")
    adx_release: float = Field(20, gt=0, lt=100, description="A trend ends where ADX falls below this.")
    ema_bars: int = Field(50, ge=2, le=120, description="Span of the average whose side is the trend's direction.")
    ema_band: float = Field(
        0.25, ge=0, description="A trend turns round only where the close lies this many ATR beyond the average."
    )
    atr_bars: int = Field(14, ge=2, le=60, description="Bars of Wilder's smoothing of the true range.")
    atr_average_bars: int = Field(100, ge=10, le=200, description="Bars of the average that ATR is compared with.")
    high_volatility_multiple: float = Field(
        2.0, gt=1, description="High volatility begins where ATR rises above this multiple of its average."
    )
    high_volatility_release: float = Field(
        1.6, gt=0, description="High volatility ends where ATR falls below this multiple of its average."
    )
    high_volatility_size: float = Field(
        0.5, ge=0, le=1, description="Share of its size at which a position is opened in high volatility."
    )
    memory_bars: int = Field(
        48, ge=1, le=240, description="A regime that was last begun longer ago than this, in bars, is given up."
    )

    @model_validator(mode="after")
    def _ends_below_where_it_begins(self) -> Self:
        for ends, begins in (("adx_release", "adx_threshold"), ("high_volatility_release", "high_volatility_multiple")):
            if getattr(self, ends) > getattr(self, begins):
                raise ValueError(f"{ends} must not lie above {begins}")
        return self


ThresholdMode = Literal["quantile", "probability", "break_even"]


class EntrySettings(SettingsModel):
    """When a position is opened: a breakout in the regime's direction that the meta-model agrees with."""

    breakout_bars: int = Field(24, ge=2, le=200, description="A breakout leaves the range of this many prior bars.")
    threshold: float = Field(
        0.6, gt=0, lt=1, description="What the model's probability must reach; see threshold_mode. Not for break_even."
    )
    threshold_mode: ThresholdMode = Field(
        "quantile",
        description=(
            "quantile: the threshold is a quantile of the model's purged out-of-fold probabilities. probability: it is"
            " a calibrated probability, refused where fewer than 50 of them reach it. break_even: the probability at"
            " which the trade's own barriers just pay its costs, plus break_even_margin."
        ),
    )
    break_even_margin: float = Field(
        0.02, ge=0, lt=1, description="How far above its break-even a probability must lie in mode break_even."
    )


class BarrierSettings(SettingsModel):
    """When a position is closed."""

    mode: Literal["fixed", "volatility"] = Field(
        "fixed",
        description="volatility: both ratios grow and shrink with the day's volatility against the typical one.",
    )
    target_ratio: float = Field(0.02, gt=0, lt=1, description="Distance of the target from the entry price.")
    stop_ratio: float = Field(0.01, gt=0, lt=1, description="Distance of the stop from the entry price.")
    holding_hours: float = Field(24, gt=0, description="A position is closed after this time, in hours.")


class SizingSettings(SettingsModel):
    """How large a position is: notional over equity such that a day moves equity by `daily_volatility`."""

    daily_volatility: float = Field(0.01, gt=0, lt=1, description="What a position moves equity in a day, as a ratio.")
    leverage_cap: float = Field(2.0, gt=0, description="Largest notional of one position over equity.")
    volatility_bars: int = Field(72, ge=24, le=400, description="Bars that volatility is measured over.")
    provisional_share: float = Field(
        0.25, gt=0, le=1, description="Share of its size at which a provisional champion trades."
    )


class PortfolioSettings(SettingsModel):
    """What all positions together may come to. An entry that would go beyond is cut down, or blocked.

    The symbols share one equity; where two want to enter at one candle, the one named first in `symbols` comes first.
    """

    leverage_cap: float = Field(2.4, gt=0, description="Largest notional of all positions over equity.")
    correlated_daily_volatility: float = Field(
        0.015,
        gt=0,
        lt=1,
        description="What correlated positions in one direction may move equity in a day together, as a ratio.",
    )
    correlation_threshold: float = Field(
        0.6, ge=0, le=1, description="Symbols count together from this correlation of their returns on."
    )
    correlation_bars: int = Field(240, ge=24, le=400, description="Bars that the correlation is measured over.")
    smallest_share: float = Field(
        0.25, ge=0, le=1, description="An entry that would be cut below this share of its size is blocked."
    )


class CostSettings(SettingsModel):
    """What trading costs, as shares of notional. 0.055% is Bybit's taker fee; a round trip is 0.14%."""

    fee_ratio: float = Field(0.00055, ge=0, lt=0.1, description="Fee of a fill, as a share of its notional.")
    slippage_ratio: float = Field(
        0.00015, ge=0, lt=0.1, description="Slippage of a fill at the typical volatility, as a share of its notional."
    )
    slippage_scaled: bool = Field(
        True, description="Whether slippage grows and shrinks with the day's volatility against the typical one."
    )
    funding: Literal["exchange", "fixed"] = Field(
        "exchange",
        description="exchange: the rates that the exchange settled, at their times. fixed: funding_ratio each time.",
    )
    funding_ratio: float = Field(
        0.0, gt=-0.1, lt=0.1, description="What longs pay to shorts each time where funding is fixed."
    )
    funding_hours: int = Field(
        8, ge=1, le=24, description="Where funding is fixed it is settled at the multiples of this, in hours of UTC."
    )


class ModelSettings(SettingsModel):
    """How the meta-model is trained."""

    ensemble_weights: tuple[float, float] | Literal["auto"] = Field(
        (0.7, 0.3),
        description="LightGBM, logistic regression; auto: whatever has the least log loss, purged and out of fold.",
    )
    folds: int = Field(5, ge=2, le=20, description="Walk-forward folds that calibration and quantiles come from.")
    embargo_hours: float = Field(24, ge=0, description="Time between what is learnt from and what is judged, in hours.")
    seed: int = Field(7, description="Seed of everything random in training.")

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        weights = self.ensemble_weights
        if weights != "auto" and (min(weights) < 0 or abs(sum(weights) - 1) > 1e-9):
            raise ValueError("ensemble_weights must not be negative and must sum to 1")
        return self


class TrendbotSettings(SettingsModel):
    """The reference bot: any number of symbols that share one equity, one timeframe, paper orders."""

    exchange: ExchangeSettings = ExchangeSettings()
    symbols: tuple[str, ...] = Field(
        ("BTC/USDT:USDT",), min_length=1, description="What is traded, by ccxt's names; the first has the first choice."
    )
    timeframe: Timeframe = Field("1h", description="Length of a candle; every length that is set in bars goes by it.")
    data_dir: Path = Field(
        Path("data"), description="Candles and funding that the retrain job has collected, by exchange; Parquet."
    )
    initial_equity: float = Field(10_000, gt=0, description="Equity of the paper account at its beginning.")
    currency: str = Field("USDT", description="Currency of the account.")
    typical_daily_volatility: float = Field(
        0.035,
        gt=0,
        lt=1,
        description="Standard deviation of a day's return at which slippage and barriers have the size that is set.",
    )
    regime: RegimeSettings = RegimeSettings()
    entry: EntrySettings = EntrySettings()
    barriers: BarrierSettings = BarrierSettings()
    sizing: SizingSettings = SizingSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    costs: CostSettings = CostSettings()
    model: ModelSettings = ModelSettings()

    @field_validator("symbols")
    @classmethod
    def _no_symbol_twice(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(symbols)) < len(symbols):
            raise ValueError("a symbol is named twice")
        return symbols
