"""What the conditions see of a bot and of its limits. The exporter's snapshot and limits have all of it.

`None` means not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from nightdesk_core.clock import MarketTime, WallTime

EPOCH = WallTime(0.0)
"""Before anything that a bot says has happened: in place of what is not known, where the last of several counts."""
Market = tuple[str, str]
"""A symbol and a timeframe."""


class ExpectedCandles(Protocol):
    """Candles of one market are expected: since when and how often, in wall time."""

    @property
    def since(self) -> WallTime:
        """From when on their absence counts."""

    @property
    def interval_seconds(self) -> float:
        """Wall time between two of them."""


class LoadedModel(Protocol):
    """The model in use."""

    @property
    def trained_at(self) -> WallTime:
        """When its training ended."""


class Failure(Protocol):
    """Something failed, as of the exporter's own."""

    @property
    def at(self) -> WallTime:
        """When last."""

    @property
    def text(self) -> str:
        """How, for people."""


class LimitsView(Protocol):
    """Thresholds in wall time and ratios, as they hold at the bot's speed."""

    @property
    def heartbeat_seconds(self) -> float:
        """How long the loop may be silent."""

    @property
    def exchange_contact_seconds(self) -> float:
        """How long the exchange may be silent."""

    @property
    def clock_offset_seconds(self) -> float:
        """How far the exchange's clock may be from ours."""

    @property
    def candle_grace_seconds(self) -> float:
        """A candle is stale after two intervals and this."""

    @property
    def first_candle_seconds(self) -> float:
        """The same where not even the interval is known."""

    @property
    def no_trade_seconds(self) -> float:
        """How long no trade may be closed, unless the model trades more rarely."""

    @property
    def model_age_seconds(self) -> float:
        """How old a model may get."""

    @property
    def first_model_seconds(self) -> float:
        """How long after its start a bot may name no model."""

    @property
    def first_report_seconds(self) -> float:
        """How long after its start a bot may report neither equity nor a model's age."""

    @property
    def drawdown_warning_ratio(self) -> float:
        """A drawdown above it is worth a look."""

    @property
    def drawdown_critical_ratio(self) -> float:
        """A drawdown above it calls for action."""

    @property
    def daily_loss_ratio(self) -> float:
        """A loss in a day above it calls for action."""

    @property
    def leverage_ratio(self) -> float:
        """A leverage above it calls for action."""

    @property
    def trouble_seconds(self) -> float:
        """How long after its last failure something of the exporter's own counts as failing."""


class BotView(Protocol):
    """What a bot has said of itself since its start."""

    @property
    def started_at(self) -> WallTime:
        """When the bot was started."""

    @property
    def without(self) -> Collection[str]:
        """What it does not have by its own words, and nobody misses: model, decisions, candles."""

    @property
    def heartbeat_at(self) -> WallTime | None:
        """When its loop last turned."""

    @property
    def waiting_until(self) -> WallTime | None:
        """Until when it has announced to wait; in the past where that is over."""

    @property
    def request_failed_at(self) -> WallTime | None:
        """When a request to the exchange last failed."""

    @property
    def contact_at(self) -> Mapping[str, WallTime]:
        """By channel (rest, ws), when the exchange last said something."""

    @property
    def connected(self) -> bool | None:
        """Whether the candle stream is connected."""

    @property
    def connection_changed_at(self) -> WallTime | None:
        """Since when it is, or is not."""

    @property
    def clock_offset(self) -> float | None:
        """The exchange's clock less ours, in seconds."""

    @property
    def candles(self) -> Mapping[Market, tuple[WallTime, MarketTime]]:
        """The last candle of each market: when it was received, and when it closed. Made anew each time: ask once."""

    @property
    def candles_expected(self) -> Mapping[Market, ExpectedCandles]:
        """The markets of which candles are expected."""

    @property
    def candles_rejected(self) -> Mapping[Market, Failure]:
        """By market, the last candle that was set aside because it cannot be true."""

    @property
    def listed(self) -> Mapping[str, bool]:
        """By symbol, whether the exchange lists it."""

    @property
    def decided_at(self) -> Mapping[str, WallTime]:
        """By symbol, when a candle was last decided on. Made anew each time: ask once."""

    @property
    def guard(self) -> str | None:
        """The guard's state: unknown, normal, reduced or paused."""

    @property
    def guard_reason(self) -> str:
        """Why it is in that state."""

    @property
    def kill_switch(self) -> bool | None:
        """Whether the kill switch is on."""

    @property
    def kill_switch_reason(self) -> str:
        """Why it is on."""

    @property
    def state_lost(self) -> str | None:
        """How it shows that the bot's state is gone; empty where it is not."""

    @property
    def audit_missing(self) -> str | None:
        """What the audit log lacks of what it held; empty where it lacks nothing."""

    @property
    def positions(self) -> Mapping[str, object | None]:
        """By symbol, the open position; `None` is flat."""

    @property
    def last_trade_at(self) -> WallTime | None:
        """When a trade was last closed."""

    @property
    def trade_interval_seconds(self) -> float | None:
        """Mean wall time between two trades of the model, by its backtest."""

    @property
    def trading_expected(self) -> bool | None:
        """Whether the market is open and the bot is meant to trade in it."""

    @property
    def trading_expected_since(self) -> WallTime | None:
        """Since when."""

    @property
    def model(self) -> LoadedModel | None:
        """The model in use."""

    @property
    def model_known(self) -> bool:
        """Whether the bot has tried to load a model at all."""

    @property
    def model_failure(self) -> str:
        """Why the last model could not be loaded; empty once one was."""

    @property
    def expectation_breached(self) -> bool | None:
        """Whether live is known to be worse than was promised."""

    @property
    def equity_at(self) -> WallTime | None:
        """When equity was last reported."""

    @property
    def drawdown_ratio(self) -> float | None:
        """The equity's fall from its peak."""

    @property
    def daily_pnl_ratio(self) -> float | None:
        """The equity's change since midnight UTC of market time."""

    def leverage_ratio(self) -> float | None:
        """Return the notional of all positions over equity."""

    @property
    def status_written_at(self) -> WallTime | None:
        """When the status file was last written."""

    @property
    def status_limit_seconds(self) -> float | None:
        """How old it may get; `None` where there is none."""

    def stamps(self) -> Mapping[str, WallTime]:
        """Return every time of the wall's clock that is known, by what it is the time of, in words."""

    @property
    def unwritable(self) -> Mapping[str, Failure | None]:
        """By what it is of the bot's: since when it cannot be written, and why; `None` where it can."""

    @property
    def wrong_calls(self) -> Mapping[str, Failure]:
        """By cause, the last wrong call of the exporter."""

    @property
    def troubles(self) -> Mapping[str, Failure]:
        """By the issue that it is, what last failed of the exporter's own."""


class Situation(NamedTuple):
    """A bot and its limits at `now`."""

    bot: BotView
    limits: LimitsView
    now: WallTime
