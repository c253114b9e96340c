"""What the exporter knows of the bot. The loop writes it, a scrape reads it; `None` means not known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Limits:
    """Thresholds in wall time and ratios, as they hold at the bot's speed."""

    heartbeat_seconds: float = 120.0
    exchange_contact_seconds: float = 300.0
    model_age_seconds: float = 90 * 86_400.0
    no_trade_seconds: float = 7 * 86_400.0
    drawdown_warning_ratio: float = 0.05
    drawdown_critical_ratio: float = 0.10
    daily_loss_ratio: float = 0.05
    leverage_ratio: float = 2.5
    candle_grace_seconds: float = 60.0
    """A candle is stale after two intervals and this."""


class CandleSeen(NamedTuple):
    """The last candle of one symbol and timeframe: `close_time` is market time, the rest wall time."""

    received_at: float
    close_time: float


class CandlesExpected(NamedTuple):
    """Candles of one symbol and timeframe are expected: since when and how often, in wall time."""

    since: float
    interval_seconds: float


@dataclass(frozen=True)
class Position:
    """An open position: `side` is long or short, `size_ratio` its notional over equity."""

    symbol: str
    side: str
    size_ratio: float


@dataclass(frozen=True)
class ModelInUse:
    """The loaded model; times are wall time but `data_end`, which is market time."""

    version: str
    standing: str
    trained_at: float
    data_end: float
    loaded_at: float


@dataclass
class Snapshot:
    """The bot as of now. Timestamps are Unix seconds of wall time where nothing else is said."""

    started_at: float
    heartbeat_at: float | None = None
    contact_at: dict[str, float] = field(default_factory=dict)
    """By channel: rest, ws."""
    connected: bool | None = None
    clock_offset: float | None = None
    """The exchange's clock less ours, in seconds."""
    market_time: float | None = None
    candles: dict[tuple[str, str], CandleSeen] = field(default_factory=dict)
    """By symbol and timeframe."""
    candles_expected: dict[tuple[str, str], CandlesExpected] = field(default_factory=dict)
    """By symbol and timeframe."""
    decided_at: dict[str, float] = field(default_factory=dict)
    """By symbol."""
    guard: str | None = None
    guard_reason: str = ""
    guard_size_multiplier: float | None = None
    guard_limits: dict[tuple[str, ...], float] = field(default_factory=dict)
    """By rule and tier."""
    guard_values: dict[str, float | None] = field(default_factory=dict)
    regimes: dict[str, str] = field(default_factory=dict)
    kill_switch: bool | None = None
    kill_switch_reason: str = ""
    positions: dict[str, Position | None] = field(default_factory=dict)
    """By symbol; `None` is flat."""
    recent_trades: int | None = None
    last_trade_at: float | None = None
    trading_expected: bool | None = None
    trading_expected_since: float | None = None
    model: ModelInUse | None = None
    model_known: bool = False
    """Whether the bot has tried to load a model at all."""
    equity: float | None = None
    equity_peak: float | None = None
    drawdown_ratio: float | None = None
    daily_pnl_ratio: float | None = None
    currency: str = "USDT"
    status_written_at: float | None = None
    wrong_calls: dict[str, str] = field(default_factory=dict)
    """By cause what was wrong with the last such call of the exporter."""
    counters: defaultdict[tuple[str, ...], float] = field(default_factory=lambda: defaultdict(float))
    """Monotonic counts by (metric, label values …)."""

    def leverage_ratio(self) -> float | None:
        """Return the notional of all positions over equity, or `None` before the first position is reported."""
        if not self.positions:
            return None
        return sum(position.size_ratio for position in self.positions.values() if position is not None)
