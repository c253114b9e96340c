"""Turns the snapshot into samples at scrape time, topic by topic: one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from nightdesk_alerts.catalogue import (
    exchange_contact_limit_seconds,
    heartbeat_limit_seconds,
    no_trade_limit_seconds,
    snapshot_limit_seconds,
)
from nightdesk_core.clock import MarketTime, WallTime
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nightdesk_exporter.health.issues import Health
from nightdesk_exporter.metrics.catalogue import BOT, Kind
from nightdesk_exporter.metrics.families import Labels, distribution, family, info, state_set
from nightdesk_exporter.metrics.registry import Failed, as_far_as_it_goes
from nightdesk_exporter.snapshot import MAY_LACK, Limits, Snapshot

COLLECTORS = ("connection", "candles", "health", "trading", "model", "risk", "only_shown", "counters")
"""The topics, by which a failure is counted."""
_COUNTERS = tuple(metric.name for metric in BOT if metric.kind is Kind.COUNTER)


class SnapshotCollector(Collector):
    """Collects the bot's metrics. A scrape looks at the health, too, so that a change of it is noticed at once."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        bot: str,
        version: str,
        limits: Callable[[], Limits],
        health: Callable[[], Health],
        failed: Failed,
    ) -> None:
        self._snapshot = snapshot
        self._bot = bot
        self._version = version
        self._limits = limits
        self._health = health
        self._failed = failed

    def collect(self) -> Iterator[Metric]:
        """Yield every family of the bot, in the catalogue's order of topics."""
        topics = (
            self._connection,
            self._candles,
            self._health_check,
            self._trading,
            self._model,
            self._risk,
            self._only_shown,
            self._counters,
        )
        for name, topic in zip(COLLECTORS, topics, strict=True):
            yield from as_far_as_it_goes(topic, name, self._failed)

    def _connection(self) -> Iterator[Metric]:
        snapshot, limits = self._snapshot, self._limits()
        yield info("build", (self._version, self._bot))
        yield family("report_expected", {(what,): float(what not in snapshot.without) for what in MAY_LACK})
        yield family("heartbeat_timestamp_seconds", snapshot.heartbeat_at_wall)
        yield family("heartbeat_limit_seconds", heartbeat_limit_seconds(snapshot, limits))
        contact: dict[Labels, float | None] = {(name,): at for name, at in dict(snapshot.contact_at_wall).items()}
        yield family("exchange_last_success_timestamp_seconds", contact)
        yield family("exchange_contact_limit_seconds", exchange_contact_limit_seconds(snapshot, limits))
        yield family("exchange_clock_offset_seconds", snapshot.clock_offset)
        yield family("websocket_connected", _truth(snapshot.connected))
        for name, histogram in snapshot.histograms.items():
            yield distribution(name, histogram)

    def _candles(self) -> Iterator[Metric]:
        seen = dict(self._snapshot.candles_wall_and_market)
        yield family("candle_last_close_timestamp_seconds", {key: closed for key, (_, closed) in seen.items()})
        yield family("candle_last_received_timestamp_seconds", {key: at for key, (at, _) in seen.items()})
        expected = dict(self._snapshot.candles_expected)
        yield family("candle_interval_seconds", {key: value.interval_seconds for key, value in expected.items()})
        since: dict[Labels, float | None] = {key: value.since.seconds for key, value in expected.items()}
        yield family("candle_expected_since_timestamp_seconds", since)
        rejected: dict[Labels, float | None] = {
            key: found.at.seconds for key, found in dict(self._snapshot.candles_rejected).items()
        }
        yield family("candle_rejected_timestamp_seconds", rejected)
        listed: dict[Labels, float | None] = {
            (symbol,): float(there) for symbol, there in dict(self._snapshot.listed).items()
        }
        yield family("symbol_listed", listed)
        decided = dict(self._snapshot.decided_at_wall)
        yield family("decision_last_timestamp_seconds", {(symbol,): at for symbol, at in decided.items()})

    def _health_check(self) -> Iterator[Metric]:
        health, snapshot = self._health(), self._snapshot
        yield state_set("health_status", health.verdict.value)
        yield family("health_issues", {(issue.name,): 1.0 for issue in health.issues})
        yield family("status_file_written_timestamp_seconds", _seconds(snapshot.status_written_at))
        yield family("status_file_limit_seconds", snapshot.status_limit_seconds)
        yield family("snapshot_timestamp_seconds", snapshot.equity_at_wall)
        yield family("snapshot_limit_seconds", snapshot_limit_seconds(snapshot, self._limits()))
        yield family("audit_missing", _truth(None if snapshot.audit_missing is None else bool(snapshot.audit_missing)))
        unwritable = dict(snapshot.unwritable)
        yield family("disk_unwritable", {(what,): float(why is not None) for what, why in unwritable.items()})
        yield info("audit_head", None if snapshot.audit_head is None else (snapshot.audit_head,))

    def _trading(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        yield state_set("guard_state", snapshot.guard)
        yield family("guard_limit", dict(snapshot.guard_limits))
        yield family("guard_value", {(rule,): value for rule, value in dict(snapshot.guard_values).items()})
        regimes: dict[Labels, str] = {(symbol,): regime for symbol, regime in dict(snapshot.regimes).items()}
        yield state_set("regime", regimes)
        yield family("kill_switch_active", _truth(snapshot.kill_switch))
        yield family("state_lost", _truth(None if snapshot.state_lost is None else bool(snapshot.state_lost)))
        positions: dict[Labels, float | None] = {}
        sizes: dict[Labels, float | None] = {}
        for symbol, position in dict(snapshot.positions).items():
            for side in ("long", "short"):
                positions[symbol, side] = float(position is not None and position.side == side)
            sizes[(symbol,)] = 0.0 if position is None else position.size_ratio
        yield family("open_positions", positions)
        yield family("position_size_ratio", sizes)
        yield family("recent_trades", snapshot.recent_trades)
        yield family("last_trade_timestamp_seconds", _seconds(snapshot.last_trade_at))
        yield family("trading_expected", _truth(snapshot.trading_expected))
        since = None if snapshot.trading_expected is None else snapshot.trading_expected_since
        yield family("trading_expected_since_timestamp_seconds", _seconds(since))
        yield family("no_trade_limit_seconds", no_trade_limit_seconds(snapshot, self._limits()))

    def _model(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        model = snapshot.model
        yield info("model", None if model is None else (model.version, model.standing))
        yield family("model_loaded", float(model is not None) if snapshot.model_known else None)
        yield family("model_trained_timestamp_seconds", None if model is None else model.trained_at.seconds)
        yield family("model_data_end_timestamp_seconds", None if model is None else _seconds(model.data_end))
        yield family("model_loaded_timestamp_seconds", None if model is None else model.loaded_at.seconds)
        limit = None if "model" in snapshot.without else self._limits().model_age_seconds
        yield family("model_age_limit_seconds", limit)
        yield family("model_expectation_breached", _truth(snapshot.expectation_breached))

    def _risk(self) -> Iterator[Metric]:
        snapshot, limits = self._snapshot, self._limits()
        yield family("drawdown_ratio", snapshot.drawdown_ratio)
        drawdowns: dict[Labels, float | None] = {
            ("warning",): limits.drawdown_warning_ratio,
            ("critical",): limits.drawdown_critical_ratio,
        }
        yield family("drawdown_limit_ratio", drawdowns)
        yield family("daily_pnl_ratio", snapshot.daily_pnl_ratio)
        yield family("daily_loss_limit_ratio", limits.daily_loss_ratio)
        yield family("leverage_ratio", snapshot.leverage_ratio())
        yield family("leverage_limit_ratio", limits.leverage_ratio)
        yield family("equity", {(snapshot.currency,): snapshot.equity})
        peak = None if snapshot.equity is None else snapshot.equity_peak
        yield family("equity_peak", {(snapshot.currency,): peak})

    def _only_shown(self) -> Iterator[Metric]:
        for name, values in _by_name(self._snapshot.gauges).items():
            yield family(name, values)

    def _counters(self) -> Iterator[Metric]:
        found = _by_name(self._snapshot.counters)
        for name in _COUNTERS:  # those without a child yet are declared, too
            yield family(name, found.get(name, {}))


def _by_name(numbers: Mapping[tuple[str, ...], float]) -> dict[str, dict[Labels, float | None]]:
    """Return numbers by metric, and there by label values."""
    found: dict[str, dict[Labels, float | None]] = {}
    for (name, *labels), value in dict(numbers).items():
        found.setdefault(name, {})[tuple(labels)] = value
    return found


def _seconds(moment: WallTime | MarketTime | None) -> float | None:
    return None if moment is None else moment.seconds


def _truth(value: bool | None) -> float | None:  # noqa: FBT001 - a fact, not an option
    return None if value is None else float(value)
