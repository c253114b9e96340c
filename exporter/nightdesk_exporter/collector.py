"""Turns the snapshot into samples at scrape time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nightdesk_exporter.catalogue import METRICS, Kind
from nightdesk_exporter.families import Labels, family, info, state_set
from nightdesk_exporter.health import Health, Verdict
from nightdesk_exporter.snapshot import Limits, Snapshot

_COUNTERS = tuple(metric.name for metric in METRICS.values() if metric.kind is Kind.COUNTER)


class SnapshotCollector(Collector):
    """Collects the bot's metrics. It only reads: a scrape changes nothing."""

    def __init__(
        self, snapshot: Snapshot, limits: Limits, *, bot: str, version: str, health: Callable[[], Health]
    ) -> None:
        self._snapshot = snapshot
        self.limits = limits
        self._bot = bot
        self._version = version
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Yield every family of the bot, in the catalogue's order of topics."""
        yield info("build", (self._version, self._bot))
        yield from self._connection()
        yield from self._candles()
        yield from self._health_check()
        yield from self._trading()
        yield from self._model()
        yield from self._risk()
        for name in _COUNTERS:
            values: dict[Labels, float | None] = {
                key[1:]: count for key, count in dict(self._snapshot.counters).items() if key[0] == name
            }
            yield family(name, values)

    def _connection(self) -> Iterator[Metric]:
        snapshot, limits = self._snapshot, self.limits
        yield family("heartbeat_timestamp_seconds", snapshot.heartbeat_at)
        yield family("heartbeat_limit_seconds", limits.heartbeat_seconds)
        yield family(
            "exchange_last_success_timestamp_seconds", {(name,): at for name, at in dict(snapshot.contact_at).items()}
        )
        yield family("exchange_contact_limit_seconds", limits.exchange_contact_seconds)
        yield family("exchange_clock_offset_seconds", snapshot.clock_offset)
        yield family("websocket_connected", None if snapshot.connected is None else float(snapshot.connected))

    def _candles(self) -> Iterator[Metric]:
        seen = dict(self._snapshot.candles)
        yield family("candle_last_close_timestamp_seconds", {key: value.close_time for key, value in seen.items()})
        yield family("candle_last_received_timestamp_seconds", {key: value.received_at for key, value in seen.items()})
        expected = dict(self._snapshot.candles_expected)
        yield family("candle_interval_seconds", {key: value.interval_seconds for key, value in expected.items()})
        decided = dict(self._snapshot.decided_at)
        yield family("decision_last_timestamp_seconds", {(symbol,): at for symbol, at in decided.items()})

    def _health_check(self) -> Iterator[Metric]:
        health = self._health()
        yield state_set("health_status", Verdict(health.verdict).value)
        yield family("health_issues", {(issue.name,): 1.0 for issue in health.issues})
        yield family("status_file_written_timestamp_seconds", self._snapshot.status_written_at)

    def _trading(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        yield state_set("guard_state", snapshot.guard)
        yield family("guard_size_multiplier", snapshot.guard_size_multiplier)
        yield family("guard_limit", dict(snapshot.guard_limits))
        yield family("guard_value", {(rule,): value for rule, value in dict(snapshot.guard_values).items()})
        regimes: dict[Labels, str] = {(symbol,): regime for symbol, regime in dict(snapshot.regimes).items()}
        yield state_set("regime", regimes)
        yield family("kill_switch_active", None if snapshot.kill_switch is None else float(snapshot.kill_switch))
        positions: dict[Labels, float | None] = {}
        sizes: dict[Labels, float | None] = {}
        for symbol, position in dict(snapshot.positions).items():
            for side in ("long", "short"):
                positions[symbol, side] = float(position is not None and position.side == side)
            sizes[(symbol,)] = 0.0 if position is None else position.size_ratio
        yield family("open_positions", positions)
        yield family("position_size_ratio", sizes)
        yield family("recent_trades", snapshot.recent_trades)
        yield family("last_trade_timestamp_seconds", snapshot.last_trade_at)
        expected = snapshot.trading_expected
        yield family("trading_expected", None if expected is None else float(expected))
        yield family("trading_expected_since_timestamp_seconds", snapshot.trading_expected_since)
        yield family("no_trade_limit_seconds", self.limits.no_trade_seconds)

    def _model(self) -> Iterator[Metric]:
        model = self._snapshot.model
        yield info("model", None if model is None else (model.version, model.standing))
        yield family("model_loaded", float(model is not None) if self._snapshot.model_known else None)
        yield family("model_trained_timestamp_seconds", None if model is None else model.trained_at)
        yield family("model_data_end_timestamp_seconds", None if model is None else model.data_end)
        yield family("model_loaded_timestamp_seconds", None if model is None else model.loaded_at)
        yield family("model_age_limit_seconds", self.limits.model_age_seconds)

    def _risk(self) -> Iterator[Metric]:
        snapshot, limits = self._snapshot, self.limits
        yield family("drawdown_ratio", snapshot.drawdown_ratio)
        yield family(
            "drawdown_limit_ratio",
            {("warning",): limits.drawdown_warning_ratio, ("critical",): limits.drawdown_critical_ratio},
        )
        yield family("daily_pnl_ratio", snapshot.daily_pnl_ratio)
        yield family("daily_loss_limit_ratio", limits.daily_loss_ratio)
        yield family("leverage_ratio", snapshot.leverage_ratio())
        yield family("leverage_limit_ratio", limits.leverage_ratio)
        yield family("equity", {(snapshot.currency,): snapshot.equity})
        yield family("equity_peak", {(snapshot.currency,): snapshot.equity_peak})
