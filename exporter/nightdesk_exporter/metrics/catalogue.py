"""Every metric that the bot exports, the retrain job pushes and the page server exports, declared once.

The prefix is `tradebot_`; units are base units; ratios lie between 0 and 1; timestamps are Unix seconds of wall time
unless the help says market time. `bot` is no label here: it is the scrape target's, and the push's grouping key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "tradebot_"

HEALTH_STATES = ("unknown", "healthy", "degraded", "unhealthy")
GUARD_STATES = ("unknown", "normal", "reduced", "paused")
REGIMES = ("unknown", "trending_up", "trending_down", "ranging", "high_volatility")
DECISIONS = ("unknown", "promoted", "kept", "insufficient_evidence", "dry_run", "error")
TRIGGERS = ("unknown", "schedule", "guard", "expectation", "model_age", "manual")
STANDINGS = ("provisional", "probation", "champion")
GAP_SOURCES = ("fees", "slippage", "missed", "signal")
LOG_LEVELS = ("info", "success", "warning", "error", "critical")

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DECISION_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Kind(StrEnum):
    """The metric's type. A state set is a gauge per state, of which one is 1; an info is a gauge that is always 1."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    STATE_SET = "stateset"
    INFO = "info"


@dataclass(frozen=True)
class Metric:
    """One metric family; `name` is without the prefix, and without `_total` and `_info`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without the infinite one."""

    @property
    def full_name(self) -> str:
        """The name as it stands in a sample."""
        suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")
        return f"{PREFIX}{self.name}{suffix}"


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, text, labels)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, text, labels)


def _histogram(name: str, text: str, bounds: tuple[float, ...]) -> Metric:
    return Metric(name, Kind.HISTOGRAM, text, bounds=bounds)


def _states(name: str, text: str, states: tuple[str, ...], *labels: str) -> Metric:
    return Metric(name, Kind.STATE_SET, text, labels, states)


def _info(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, Kind.INFO, text, labels)


BOT: tuple[Metric, ...] = (
    _info("build", "The exporter's release and the bot's configured name.", "version", "name"),
    _gauge(
        "report_expected",
        "0 for what the bot does not have by its own words: a model, decisions on each candle, candles.",
        "what",
    ),
    _gauge("heartbeat_timestamp_seconds", "Last turn of the bot's loop."),
    _gauge(
        "heartbeat_limit_seconds", "A loop that is silent for longer has stalled; more while it waits as announced."
    ),
    _gauge("snapshot_timestamp_seconds", "When the bot last reported its equity."),
    _gauge("snapshot_limit_seconds", "An equity that is older says nothing; absent while no trading is expected."),
    _gauge("config_loaded_timestamp_seconds", "When the bot last took over its settings."),
    _gauge("exchange_last_success_timestamp_seconds", "Last successful contact with the exchange.", "channel"),
    _gauge(
        "exchange_contact_limit_seconds",
        "No contact on any channel for longer is a lost connection; more while none is due.",
    ),
    _counter("exchange_requests", "Requests to the exchange."),
    _counter("exchange_request_failures", "Requests that failed.", "reason"),
    _histogram("exchange_request_duration_seconds", "How long requests to the exchange took.", _REQUEST_SECONDS),
    _gauge("websocket_connected", "1 where the candle stream is connected."),
    _counter("websocket_reconnects", "Times that the candle stream was connected again."),
    _gauge("exchange_clock_offset_seconds", "The exchange's clock less ours."),
    _gauge("candle_last_close_timestamp_seconds", "Close of the last candle, market time.", "symbol", "timeframe"),
    _gauge("candle_last_received_timestamp_seconds", "When the last candle was received.", "symbol", "timeframe"),
    _gauge("candle_expected_since_timestamp_seconds", "Since when candles are expected.", "symbol", "timeframe"),
    _gauge("candle_interval_seconds", "Wall time expected between two candles.", "symbol", "timeframe"),
    _counter("candle_gaps", "Stretches of missing candles that were repaired.", "symbol", "timeframe"),
    _gauge(
        "candle_rejected_timestamp_seconds",
        "When a candle that cannot be true was last set aside.",
        "symbol",
        "timeframe",
    ),
    _gauge("symbol_listed", "1 where the exchange lists the symbol, 0 where it does not, or no longer.", "symbol"),
    _gauge("decision_last_timestamp_seconds", "When a candle was last decided on.", "symbol"),
    _histogram("decision_duration_seconds", "How long it took to decide on a candle.", _DECISION_SECONDS),
    _counter("collector_errors", "Collections that failed; the other metrics are there all the same.", "collector"),
    _counter("instrumentation_errors", "Wrong calls of the exporter, which never raise into the loop.", "cause"),
    _counter("log_messages", "Messages logged, from info on.", "level"),
    _states("health_status", "The verdict of the last health check.", HEALTH_STATES),
    _gauge("health_issues", "1 for each issue that the last health check found.", "issue"),
    _gauge("status_file_written_timestamp_seconds", "When the status file was last written."),
    _gauge("status_file_limit_seconds", "A status file that is older is stale; absent where there is none."),
    _counter("status_file_write_failures", "Writes of the status file that failed."),
    _gauge("disk_unwritable", "1 while something of the bot's cannot be written, and is held in memory.", "what"),
    _counter("alerts_sent", "Alerts that the bot itself delivered.", "path"),
    _counter("alerts_retried", "Deliveries that were tried again."),
    _counter("alerts_dropped", "Alerts that reached nobody.", "reason"),
    _counter("heartbeats_sent", "Heartbeats that arrived at the service outside."),
    _counter("heartbeats_failed", "Heartbeats that did not arrive there."),
    _counter("pushes_failed", "Pushes of the metrics to a Pushgateway that failed."),
    _gauge("audit_entries", "Length of the audit log."),
    _gauge("audit_missing", "1 while the audit log lacks an entry that it held."),
    _info("audit_head", "Hash of the audit log's last entry.", "hash"),
    _states("guard_state", "How the performance guard lets the bot trade.", GUARD_STATES),
    _counter("guard_transitions", "Changes of the guard's state.", "to"),
    _gauge("guard_size_multiplier", "Share of its size at which the guard lets the bot enter."),
    _gauge("guard_limit", "The guard's limits.", "rule", "tier"),
    _gauge("guard_value", "What the guard holds against its limits.", "rule"),
    _states("regime", "The market's regime.", REGIMES, "symbol"),
    _counter("regime_changes", "Changes of the regime.", "symbol"),
    _gauge("kill_switch_active", "1 while the kill switch keeps the bot from entering."),
    _gauge("state_lost", "1 while the bot is known to have lived and its state is gone."),
    _counter("kill_switch_activations", "Times that the kill switch was activated."),
    _gauge("kill_switch_self_test_timestamp_seconds", "When the kill switch was last tried and found to work."),
    _gauge("open_positions", "Open positions.", "symbol", "side"),
    _counter("trades_closed", "Closed trades.", "symbol"),
    _counter("trades_won", "Closed trades that earned more than they cost.", "symbol"),
    _gauge("recent_trades", "Trades closed in the last 24 hours of market time."),
    _counter("shadow_trades_closed", "Trades that the bot would have closed, had it not been throttled."),
    _gauge("shadow_win_ratio", "Share of the shadow trades that were won."),
    _gauge("shadow_drawdown_ratio", "Loss of the shadow account from its peak."),
    _counter("signals", "Candles decided on, by what became of them.", "symbol", "outcome"),
    _counter("orders_rejected", "Orders that the exchange refused.", "reason"),
    _gauge("last_trade_timestamp_seconds", "When a trade was last closed."),
    _gauge("trading_expected", "1 where the market is open and the bot is meant to trade in it."),
    _gauge("trading_expected_since_timestamp_seconds", "Since when trading is expected."),
    _gauge("no_trade_limit_seconds", "No trade for longer is worth a look."),
    _info("model", "The model in use.", "version", "standing"),
    _gauge("model_loaded", "1 while a valid model is loaded."),
    _gauge("model_trained_timestamp_seconds", "When the model in use was trained."),
    _gauge("model_data_end_timestamp_seconds", "End of the data that the model knows, market time."),
    _gauge("model_age_limit_seconds", "A model that is older is stale."),
    _gauge("model_loaded_timestamp_seconds", "When the model in use was loaded."),
    _counter("model_load_failures", "Models that could not be loaded."),
    _gauge("model_live_trades", "Trades of the model in use, live; none of the shadow's."),
    _gauge("model_live_win_ratio", "Share of them that were won."),
    _gauge("model_live_sharpe_ratio", "Sharpe ratio of the model in use, live."),
    _gauge("model_backtest_win_ratio", "Share of trades won in the backtest that promoted the model."),
    _gauge("model_backtest_sharpe_ratio", "Sharpe ratio of that backtest."),
    _gauge("model_backtest_max_drawdown_ratio", "Deepest drawdown of that backtest."),
    _gauge(
        "model_expectation_evalue",
        "Evidence that live is worse than was promised, by trades and the shadow's; 20 is a breach.",
    ),
    _gauge("model_expectation_breached", "1 where that evidence is strong enough to act on."),
    _gauge("model_gap_ratio", "What live fell behind the backtest, in R for each signal, by where it went.", "source"),
    _gauge("model_probation_share", "Share of its size at which the model trades while it is on probation."),
    _gauge("drawdown_ratio", "Loss from the true peak of the equity."),
    _gauge("drawdown_limit_ratio", "Drawdowns that call for a look and for action.", "level"),
    _gauge("daily_pnl_ratio", "Change of the equity since midnight UTC, market time."),
    _gauge("daily_loss_limit_ratio", "A loss in a day that calls for action."),
    _gauge("leverage_ratio", "Notional of all positions over equity."),
    _gauge("leverage_limit_ratio", "A leverage that calls for action."),
    _gauge("position_size_ratio", "Notional of a position over equity.", "symbol"),
    _gauge("equity", "Equity, marked to market.", "currency"),
    _gauge("equity_peak", "Highest equity so far.", "currency"),
    _counter("deposits", "Money that was paid into the account.", "currency"),
    _counter("withdrawals", "Money that was paid out of the account, as a positive number.", "currency"),
    _counter("realized_profit", "Sum of the winning trades, net.", "currency"),
    _counter("realized_loss", "Sum of the losing trades, net, as a positive number.", "currency"),
    _counter("fees_paid", "Fees paid.", "currency"),
)

RETRAIN: tuple[Metric, ...] = (
    _gauge("retrain_last_check_timestamp_seconds", "When the job last looked whether a retrain is due."),
    _gauge("retrain_last_start_timestamp_seconds", "When a retrain last began."),
    _gauge("retrain_last_completion_timestamp_seconds", "When a retrain last ended, however it ended."),
    _gauge("retrain_last_success_timestamp_seconds", "When a retrain last ended with a verdict."),
    _gauge("retrain_interval_seconds", "Time between two scheduled retrains."),
    _gauge("retrain_last_duration_seconds", "Duration of the last retrain."),
    _gauge("retrain_stage_duration_seconds", "Duration of each stage of the last retrain.", "stage"),
    _gauge("retrain_consecutive_failures", "Retrains that failed since the last verdict."),
    _gauge("retrain_training_rows", "Labelled rows that the last candidate was fitted on."),
    _states("retrain_trigger", "Why the last retrain was started.", TRIGGERS),
    _states("promotion_decision", "The verdict on the last candidate.", DECISIONS),
    _gauge("promotion_criterion_passed", "1 where the last candidate met the criterion.", "criterion"),
    _gauge("promotion_sharpe_ratio", "Annualised from daily returns over the hold-out.", "model"),
    _gauge("promotion_profit_factor", "Gross profit over gross loss over the hold-out.", "model"),
    _gauge("promotion_max_drawdown_ratio", "Deepest drawdown over the hold-out.", "model"),
    _gauge("promotion_trades", "Trades over the hold-out.", "model"),
    _gauge("promotion_win_ratio", "Share of trades won over the hold-out.", "model"),
    _gauge(
        "promotion_sharpe_difference", "Candidate's less champion's Sharpe ratio on the bars that neither has seen."
    ),
    _gauge("promotion_outperformance_probability", "That this difference is truly above 0, by the bootstrap."),
    _gauge(
        "promotion_deflated_sharpe_probability",
        "That the candidate's Sharpe ratio is truly above 0, though it may be the best of all trials.",
    ),
    _gauge("promotion_trials", "Candidates that were evaluated so far, those of dry runs included."),
    _info("promotion_champion", "The version that the pointer names.", "version"),
    _gauge("promotion_consecutive_rejections", "Candidates that were not promoted since the last that was."),
    _gauge("promotion_last_promoted_timestamp_seconds", "When a model was last promoted."),
    _gauge("promotion_last_rollback_timestamp_seconds", "When a champion was last taken back."),
)

DESK: tuple[Metric, ...] = (
    _gauge("critical_alerts_silenced_ratio", "Share of the bot's critical alerts that silences mute; 1 is everything."),
    _gauge(
        "critical_alert_silenced_seconds",
        "How long the critical alert is silenced that is so for longest, what is to come included.",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*BOT, *RETRAIN, *DESK)}
