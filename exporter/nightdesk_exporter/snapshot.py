"""What the exporter knows of the bot. The loop writes it, a scrape reads it; `None` means not known."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from nightdesk_core.cash_flows import MOST_SHOWN, AccountHistory
from nightdesk_core.clock import MarketTime, TimeScale, WallTime
from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.curve import Curve
from nightdesk_exporter.metrics.catalogue import METRICS, Kind
from nightdesk_exporter.metrics.histogram import Histogram

_MOST_EVENTS = 50

MAY_LACK = ("model", "decisions", "candles")
"""What a bot may say that it does not have: a model, a decision on each candle, candles."""


@dataclass(frozen=True)
class Limits:
    """Thresholds in wall time and ratios, as they hold at the bot's speed."""

    heartbeat_seconds: float = 120.0
    exchange_contact_seconds: float = 300.0
    model_age_seconds: float = 90.0 * DAY_SECONDS
    no_trade_seconds: float = 7.0 * DAY_SECONDS
    drawdown_warning_ratio: float = 0.05
    drawdown_critical_ratio: float = 0.10
    daily_loss_ratio: float = 0.05
    leverage_ratio: float = 2.5
    candle_grace_seconds: float = 60.0
    """A candle is stale after two intervals and this."""
    clock_offset_seconds: float = 2.0
    """Exchanges refuse requests whose time is off by some five seconds."""
    trouble_seconds: float = 600.0
    """For so long after its last failure something of the exporter's own counts as failing, as in the rules."""
    first_model_seconds: float = 120.0
    """A bot that names no model for so long after its start has none."""
    first_report_seconds: float = 600.0
    """One that has reported neither equity nor a model's age by then is late with it."""
    first_candle_seconds: float = 7260.0
    """Where not even the interval is known: two of an hour and a minute."""

    def scaled(self, scale: TimeScale) -> Limits:
        """Return the limits as they hold at the market's speed; how far clocks may differ is no matter of that."""
        times = [each.name for each in fields(self) if each.name.endswith("_seconds")]
        shorter = {name: scale.limit(getattr(self, name)) for name in times if name != "clock_offset_seconds"}
        return replace(self, **shorter)


class CandleSeen(NamedTuple):
    """The last candle of one symbol and timeframe: when it was received, and when it closed."""

    received_at: WallTime
    closed_at: MarketTime


class CandlesExpected(NamedTuple):
    """Candles of one symbol and timeframe are expected: since when and how often, in wall time."""

    since: WallTime
    interval_seconds: float


class Event(NamedTuple):
    """Something worth telling; `level` is the log's."""

    at: WallTime
    level: str
    text: str


class Trouble(NamedTuple):
    """Something failed, as of the exporter's own: when last, and how."""

    at: WallTime
    text: str


@dataclass(frozen=True)
class Position:
    """An open position: `side` is long or short, `size_ratio` its notional over equity."""

    symbol: str
    side: str
    size_ratio: float


@dataclass(frozen=True)
class ReportedModel:
    """The loaded model."""

    version: str
    standing: str
    trained_at: WallTime
    data_end: MarketTime | None
    loaded_at: WallTime


def _histograms() -> dict[str, Histogram]:
    return {name: Histogram(metric.bounds) for name, metric in METRICS.items() if metric.kind is Kind.HISTOGRAM}


@dataclass(eq=False, repr=False)  # nobody compares it or prints it, and the methods would be made at every import
class Snapshot:
    """The bot as of now.

    What is written at every turn and every candle is kept in plain seconds since the Unix epoch, under a name that says
    of which clock, and read by a property that gives it its type: an object for each would double a heartbeat's cost.
    """

    started_at: WallTime
    currency: str = "USDT"
    without: frozenset[str] = frozenset()
    """What the bot does not have by its own words, of `MAY_LACK`."""
    heartbeat_at_wall: float | None = None
    waiting_until_wall: float | None = None
    """Until when the loop has announced to wait."""
    request_failed_at_wall: float | None = None
    contact_at_wall: dict[str, float] = field(default_factory=dict)
    """By channel: rest, ws."""
    failures: dict[str, tuple[WallTime, int]] = field(default_factory=dict)
    """By kind of failed request: when one was last logged, and how many were not since."""
    connected: bool | None = None
    connection_changed_at: WallTime | None = None
    connections: int = 0
    """How often the candle stream was connected."""
    clock_offset: float | None = None
    """The exchange's clock less ours, in seconds."""
    newest_close_market: float | None = None
    symbols: set[str] = field(default_factory=set)
    """Those that anything was ever said of: as many as may be."""
    candles_wall_and_market: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """By symbol and timeframe."""
    candles_expected: dict[tuple[str, str], CandlesExpected] = field(default_factory=dict)
    """By symbol and timeframe."""
    candles_rejected: dict[tuple[str, str], Trouble] = field(default_factory=dict)
    """By symbol and timeframe, the last candle that was set aside: when, and what was wrong with it."""
    listed: dict[str, bool] = field(default_factory=dict)
    """By symbol, whether the exchange lists it."""
    decided_at_wall: dict[str, float] = field(default_factory=dict)
    """By symbol."""
    guard: str | None = None
    guard_reason: str = ""
    guard_values: dict[str, float] = field(default_factory=dict)
    guard_limits: dict[tuple[str, ...], float] = field(default_factory=dict)
    """By rule and tier."""
    guard_limits_from: str = ""
    """Where they come from, in a word."""
    regimes: dict[str, str] = field(default_factory=dict)
    """By symbol."""
    kill_switch: bool | None = None
    kill_switch_reason: str = ""
    kill_switch_activations: int | None = None
    """How often it was activated by its own count, which survives restarts."""
    state_lost: str | None = None
    """How it shows that the bot's state is gone; empty where it is not."""
    audit_missing: str | None = None
    """What the audit log lacks of what it held; empty where it lacks nothing."""
    positions: dict[str, Position | None] = field(default_factory=dict)
    """By symbol; `None` is flat."""
    recent_trades: int | None = None
    last_trade_at: WallTime | None = None
    trade_interval_seconds: float | None = None
    """Mean wall time between two trades of the model, by its backtest."""
    trading_expected: bool | None = None
    trading_expected_since: WallTime | None = None
    model: ReportedModel | None = None
    model_known: bool = False
    """Whether the bot has tried to load a model at all."""
    model_failure: str = ""
    """Why the last model could not be loaded; empty once one was."""
    expectation_breached: bool | None = None
    """Whether live is known to be worse than was promised."""
    expectation_signals: int | None = None
    """Of how many signals that is known."""
    live_to_backtest: dict[str, float | None] = field(default_factory=dict)
    """Ratios of sharpe and drawdown."""
    equity: float | None = None
    equity_at_wall: float | None = None
    equity_peak: float | None = None
    drawdown_ratio: float | None = None
    daily_pnl_ratio: float | None = None
    day: int | None = None
    """The day of market time, counted from the epoch, that `day_start_equity` belongs to."""
    day_start_equity: float | None = None
    account: AccountHistory = field(default_factory=AccountHistory)
    """By which a deposit or a withdrawal scales peak and day, as it was at the last of them."""
    account_emptied: bool = False
    """Whether all the money was taken out then, and none has come back."""
    shown_since: deque[tuple[float, float, float, float]] = field(default_factory=lambda: deque(maxlen=MOST_SHOWN))
    """What was shown since, oldest first: when by the wall's clock, the equity, its peak and the day's start."""
    curve: Curve = field(default_factory=Curve)
    status_written_at: WallTime | None = None
    status_limit_seconds: float | None = None
    """`None` where there is no status file."""
    wrong_calls: dict[str, Trouble] = field(default_factory=dict)
    """By cause what was wrong with the last such call of the exporter."""
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """By the issue that it is: collector_failing, alerts_dropped."""
    unwritable: dict[str, Trouble | None] = field(default_factory=dict)
    """By what it is of the bot's: since when it cannot be written, and why; `None` where it can."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))
    """The last of them, oldest first."""
    gauges: dict[tuple[str, ...], float] = field(default_factory=dict)
    """What is only shown, by (metric, label values …)."""
    counters: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Monotonic counts by (metric, label values …)."""
    histograms: dict[str, Histogram] = field(default_factory=_histograms)
    audit_head: str | None = None
    stopped_by: str | None = None
    """The exception that ended the bot."""

    @property
    def heartbeat_at(self) -> WallTime | None:
        """When the loop last turned."""
        return None if self.heartbeat_at_wall is None else WallTime(self.heartbeat_at_wall)

    @property
    def waiting_until(self) -> WallTime | None:
        """Until when the loop has announced to wait; in the past where that is over."""
        return None if self.waiting_until_wall is None else WallTime(self.waiting_until_wall)

    @property
    def request_failed_at(self) -> WallTime | None:
        """When a request to the exchange last failed."""
        return None if self.request_failed_at_wall is None else WallTime(self.request_failed_at_wall)

    @property
    def contact_at(self) -> dict[str, WallTime]:
        """When the exchange last said something, by channel: rest, ws."""
        return {channel: WallTime(at) for channel, at in dict(self.contact_at_wall).items()}

    @property
    def market_time(self) -> MarketTime | None:
        """The close of the newest candle."""
        return None if self.newest_close_market is None else MarketTime(self.newest_close_market)

    @property
    def candles(self) -> dict[tuple[str, str], CandleSeen]:
        """The last candles, by symbol and timeframe."""
        seen = dict(self.candles_wall_and_market)
        return {key: CandleSeen(WallTime(received), MarketTime(closed)) for key, (received, closed) in seen.items()}

    @property
    def decided_at(self) -> dict[str, WallTime]:
        """When a candle was last decided on, by symbol."""
        return {symbol: WallTime(at) for symbol, at in dict(self.decided_at_wall).items()}

    @property
    def equity_at(self) -> WallTime | None:
        """When the equity was last reported."""
        return None if self.equity_at_wall is None else WallTime(self.equity_at_wall)

    def stamps(self) -> dict[str, WallTime]:
        """Return every time of the wall's clock that is known, by what it is the time of, in words."""
        single = {
            "the bot's start": self.started_at,
            "the last turn of the loop": self.heartbeat_at,
            "the stream's last change": self.connection_changed_at,
            "the last report of equity": self.equity_at,
            "the last trade": self.last_trade_at,
            "the begin of trading": self.trading_expected_since,
            "the status file's last write": self.status_written_at,
        }
        if self.model is not None:
            single |= {"the model's training": self.model.trained_at, "the model's loading": self.model.loaded_at}
        known = {what: at for what, at in single.items() if at is not None}
        for channel, at in self.contact_at.items():
            known[f"the last contact by {channel}"] = at
        for symbol, at in self.decided_at.items():
            known[f"the last decision on {symbol}"] = at
        for (symbol, timeframe), candle in self.candles.items():
            known[f"the last candle of {symbol} {timeframe}"] = candle.received_at
        for (symbol, timeframe), expected in dict(self.candles_expected).items():
            known[f"the begin of candles of {symbol} {timeframe}"] = expected.since
        for (symbol, timeframe), rejected in dict(self.candles_rejected).items():
            known[f"the last rejected candle of {symbol} {timeframe}"] = rejected.at
        for name in ("config_loaded", "kill_switch_self_test"):
            if (seconds := self.gauges.get((f"{name}_timestamp_seconds",))) is not None:
                known[name.replace("_", " ")] = WallTime(seconds)
        return known

    def leverage_ratio(self) -> float | None:
        """Return the notional of all positions over equity, or `None` before the first position is reported."""
        if not self.positions:
            return None
        return sum(position.size_ratio for position in tuple(self.positions.values()) if position is not None)
