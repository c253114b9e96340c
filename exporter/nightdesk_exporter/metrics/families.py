"""From values to the sample families of the Prometheus client, by the catalogue. What is `None` emits no sample."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from nightdesk_exporter.metrics.catalogue import METRICS, PREFIX, Kind
from nightdesk_exporter.metrics.histogram import Histogram

Labels = tuple[str, ...]


def family(name: str, value: float | Mapping[Labels, float | None] | None) -> Metric:
    """Return one family. `value` is a number, or numbers by their label values in the catalogue's order."""
    metric = METRICS[name]
    values = value if isinstance(value, Mapping) else {(): value}
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    result = kind(metric.full_name.removesuffix("_total"), metric.help, labels=metric.labels)
    for labels, number in values.items():
        if number is not None:
            result.add_metric(labels, number)
    return result


def state_set(name: str, state: str | Mapping[Labels, str] | None) -> Metric:
    """Return a gauge for each state, of which one is 1; the state `unknown` where it is `None`."""
    metric = METRICS[name]
    chosen = state if isinstance(state, Mapping) else {(): state or "unknown"}
    result = GaugeMetricFamily(metric.full_name, metric.help, labels=(*metric.labels, f"{PREFIX}{name}"))
    for labels, current in chosen.items():
        for possible in metric.states:
            result.add_metric((*labels, possible), float(possible == current))
    return result


def info(name: str, labels: Labels | None) -> Metric:
    """Return a gauge of 1 with `labels`, or nothing where they are `None`."""
    return family(name, {} if labels is None else {labels: 1.0})


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def distribution(name: str, histogram: Histogram) -> Metric:
    """Return a histogram's cumulative buckets, its count and its sum."""
    metric = METRICS[name]
    result = HistogramMetricFamily(metric.full_name, metric.help)
    counts, total = histogram.counts.copy(), 0
    buckets = []
    for bound, count in zip((*histogram.bounds, float("inf")), counts, strict=True):
        total += count
        buckets.append((_bound(bound), float(total)))
    result.add_metric((), buckets, histogram.sum)
    return result
