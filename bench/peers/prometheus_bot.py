"""The bot's metrics as one would keep them with prometheus_client: the same families, labels and states.

`Labelled` looks each child up as it goes, as its documentation shows; `Held` holds the children beforehand.
"""

from __future__ import annotations

import time

from nightdesk_exporter.metrics.catalogue import GUARD_STATES, METRICS, REGIMES, Kind
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SYMBOL, TIMEFRAME, CURRENCY = "BTC/USDT:USDT", "1h", "USDT"
VALUES = {"win_rate": 0.55, "losing_streak": 2.0, "drawdown": 0.03}
LIMITS: dict[tuple[str, ...], float] = {
    (rule, tier): limit
    for tier, share in (("reduced", 0.5), ("paused", 1.0))
    for rule, limit in (("win_rate", 0.45 * share), ("losing_streak", 8 * share), ("drawdown", 0.1 * share))
}


class Labelled:
    """One method for each thing that a bot tells on a candle."""

    def __init__(self) -> None:
        registry = CollectorRegistry()

        def gauge(name: str) -> Gauge:
            metric = METRICS[name]
            states = (metric.full_name,) if metric.kind is Kind.STATE_SET else ()
            return Gauge(metric.full_name, metric.help, [*metric.labels, *states], registry=registry)

        def counter(name: str) -> Counter:
            return Counter(METRICS[name].full_name, METRICS[name].help, METRICS[name].labels, registry=registry)

        def histogram(name: str) -> Histogram:
            metric = METRICS[name]
            return Histogram(metric.full_name, metric.help, buckets=metric.bounds, registry=registry)

        self.turned = gauge("heartbeat_timestamp_seconds")
        self.contacted = gauge("exchange_last_success_timestamp_seconds")
        self.requests = counter("exchange_requests")
        self.request_seconds = histogram("exchange_request_duration_seconds")
        self.closed = gauge("candle_last_close_timestamp_seconds")
        self.received = gauge("candle_last_received_timestamp_seconds")
        self.decided = gauge("decision_last_timestamp_seconds")
        self.decision_seconds = histogram("decision_duration_seconds")
        self.signals = counter("signals")
        self.regimes = gauge("regime")
        self.regime_changes = counter("regime_changes")
        self.money = gauge("equity")
        self.peak = gauge("equity_peak")
        self.reported = gauge("snapshot_timestamp_seconds")
        self.drawdown = gauge("drawdown_ratio")
        self.daily = gauge("daily_pnl_ratio")
        self.open = gauge("open_positions")
        self.size = gauge("position_size_ratio")
        self.leverage = gauge("leverage_ratio")
        self.states = gauge("guard_state")
        self.multiplier = gauge("guard_size_multiplier")
        self.values = gauge("guard_value")
        self.limits = gauge("guard_limit")

    def heartbeat(self) -> None:
        self.turned.set(time.time())

    def contact(self) -> None:
        self.contacted.labels("ws").set(time.time())

    def request(self) -> None:
        with self.request_seconds.time():
            pass
        self.requests.inc()
        self.contacted.labels("rest").set(time.time())

    def candle(self) -> None:
        self.closed.labels(SYMBOL, TIMEFRAME).set(1_700_000_000.0)
        self.received.labels(SYMBOL, TIMEFRAME).set(time.time())

    def decision(self) -> None:
        self.decision_seconds.observe(0.002)
        self.decided.labels(SYMBOL).set(time.time())

    def signal(self) -> None:
        self.signals.labels(SYMBOL, "no_signal").inc()

    def regime(self, regime: str) -> None:
        for known in REGIMES:
            self.regimes.labels(SYMBOL, known).set(known == regime)

    def changed_regime(self, regime: str) -> None:
        self.regime(regime)
        self.regime_changes.labels(SYMBOL).inc()

    def equity(self) -> None:
        self.money.labels(CURRENCY).set(10_000.0)
        self.peak.labels(CURRENCY).set(10_500.0)
        self.reported.set(time.time())
        self.drawdown.set(1 - 10_000.0 / 10_500.0)
        self.daily.set(-0.001)

    def position(self) -> None:
        self.open.labels(SYMBOL, "long").set(1)
        self.open.labels(SYMBOL, "short").set(0)
        self.size.labels(SYMBOL).set(0.4)
        self.leverage.set(0.4)

    def guard(self) -> None:
        for known in GUARD_STATES:
            self.states.labels(known).set(known == "normal")
        self.multiplier.set(1.0)
        for rule, value in VALUES.items():
            self.values.labels(rule).set(value)
        for (rule, tier), limit in LIMITS.items():
            self.limits.labels(rule, tier).set(limit)


class Held(Labelled):
    """The same with every child in hand: what prometheus_client costs one who has arranged for it."""

    def __init__(self) -> None:
        super().__init__()
        self.ws, self.rest = self.contacted.labels("ws"), self.contacted.labels("rest")
        self.closed_child = self.closed.labels(SYMBOL, TIMEFRAME)
        self.received_child = self.received.labels(SYMBOL, TIMEFRAME)
        self.decided_child = self.decided.labels(SYMBOL)
        self.signals_child = self.signals.labels(SYMBOL, "no_signal")
        self.regime_children = [(known, self.regimes.labels(SYMBOL, known)) for known in REGIMES]
        self.changes_child = self.regime_changes.labels(SYMBOL)
        self.money_child, self.peak_child = self.money.labels(CURRENCY), self.peak.labels(CURRENCY)
        self.long, self.short = self.open.labels(SYMBOL, "long"), self.open.labels(SYMBOL, "short")
        self.size_child = self.size.labels(SYMBOL)
        self.state_children = [(known, self.states.labels(known)) for known in GUARD_STATES]
        self.value_children = [(rule, self.values.labels(rule)) for rule in VALUES]
        self.limit_children = [(key, self.limits.labels(*key)) for key in LIMITS]

    def contact(self) -> None:
        self.ws.set(time.time())

    def request(self) -> None:
        with self.request_seconds.time():
            pass
        self.requests.inc()
        self.rest.set(time.time())

    def candle(self) -> None:
        self.closed_child.set(1_700_000_000.0)
        self.received_child.set(time.time())

    def decision(self) -> None:
        self.decision_seconds.observe(0.002)
        self.decided_child.set(time.time())

    def signal(self) -> None:
        self.signals_child.inc()

    def regime(self, regime: str) -> None:
        for known, child in self.regime_children:
            child.set(known == regime)

    def changed_regime(self, regime: str) -> None:
        self.regime(regime)
        self.changes_child.inc()

    def equity(self) -> None:
        self.money_child.set(10_000.0)
        self.peak_child.set(10_500.0)
        self.reported.set(time.time())
        self.drawdown.set(1 - 10_000.0 / 10_500.0)
        self.daily.set(-0.001)

    def position(self) -> None:
        self.long.set(1)
        self.short.set(0)
        self.size_child.set(0.4)
        self.leverage.set(0.4)

    def guard(self) -> None:
        for known, child in self.state_children:
            child.set(known == "normal")
        self.multiplier.set(1.0)
        for rule, child in self.value_children:
            child.set(VALUES[rule])
        for key, child in self.limit_children:
            child.set(LIMITS[key])
