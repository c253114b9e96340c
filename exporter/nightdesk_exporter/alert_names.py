"""The alert that each condition of the health check is about: the catalogue's name, and its rule's own words."""

from __future__ import annotations

from nightdesk_exporter.health import Alert

_CANDLES = ("symbol", "timeframe")

ALERTS: dict[str, Alert] = {
    "loop_stalled": Alert("TradebotLoopStalled", "critical", "The bot answers, but its trading loop stands still."),
    "exchange_disconnected": Alert("TradebotExchangeDisconnected", "critical", "The bot has lost the exchange."),
    "clock_skewed": Alert("TradebotClockSkewed", "warning", "The clocks of bot and exchange differ."),
    "candle_stale": Alert("TradebotCandleStale", "warning", "No candles arrive.", _CANDLES),
    "candle_stale, holding": Alert(
        "TradebotCandleStale", "critical", "No candles arrive while a position is open.", _CANDLES
    ),
    "no_decision": Alert(
        "TradebotUnhealthy", "critical", "The bot's own health check says that it does not do its work."
    ),
    "guard_paused": Alert("TradebotGuardPaused", "critical", "The performance guard has paused trading."),
    "guard_reduced": Alert("TradebotGuardReduced", "warning", "The performance guard has reduced trading."),
    "kill_switch_active": Alert("TradebotKillSwitchActive", "critical", "The kill switch is on."),
    "no_trades": Alert("TradebotNoTrades", "warning", "The bot is meant to trade and does not."),
    "model_missing": Alert("TradebotModelMissing", "critical", "The bot runs without a model."),
    "model_not_loaded": Alert(
        "TradebotModelNotLoaded", "critical", "The bot trades with another model than the champion."
    ),
    "model_stale": Alert("TradebotModelStale", "warning", "The model is older than its limit, or of unknown age."),
    "model_underperforming": Alert(
        "TradebotModelUnderperforming", "warning", "The model does worse than its backtest promised."
    ),
    "drawdown_high": Alert("TradebotDrawdownHigh", "warning", "The drawdown is above its warning limit, or unknown."),
    "drawdown_high, critical": Alert("TradebotDrawdownHigh", "critical", "The drawdown is above its critical limit."),
    "daily_loss_high": Alert("TradebotDailyLossHigh", "critical", "The loss of the day is above its limit."),
    "leverage_high": Alert("TradebotLeverageHigh", "critical", "The leverage is above its limit."),
    "snapshot_stale": Alert("TradebotSnapshotStale", "warning", "The bot no longer reports equity and positions."),
    "status_file_stale": Alert("TradebotStatusFileStale", "warning", "The status file is out of date."),
    "collector_failing": Alert(
        "TradebotCollectorFailing", "warning", "A part of the bot's metrics cannot be collected."
    ),
    "alerts_dropped": Alert("TradebotAlertsDropped", "warning", "The bot has dropped alerts of its own."),
}
"""By the issue's name; where an issue has two severities, the other one's name says when."""

WITHOUT_ALERT = {
    "websocket_disconnected": "REST confirms every candle; what fails without the stream is TradebotCandleStale's",
    "instrumentation_errors": "a mistake in the bot's code, which shows at the first try, and is logged",
}
"""Issues that wake nobody, and why."""
