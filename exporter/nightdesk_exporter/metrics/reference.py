"""The table of every metric, made from the catalogue: `docs/metrics.md`."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_exporter.metrics.catalogue import BOT, DESK, PREFIX, RETRAIN, Kind, Metric

_HEAD = """# Metrics

Written by `make docs` from the catalogue in `exporter/nightdesk_exporter/metrics/catalogue.py`; do not edit.

Every name begins with `tradebot_`. Units are base units; ratios lie between 0 and 1; timestamps are Unix seconds of
wall time unless the text says market time. `bot` is no label here: it is the scrape target's, and the push's grouping
key. What is not known has no sample, and every counter whose label values are known beforehand begins at 0. A *state
set* has a sample for each state in a label of the metric's own name, of which one is 1; an *info* is always 1 and says
something in its labels.
"""
_TOPICS = (("Exported by the bot", BOT), ("Pushed by the retrain job", RETRAIN), ("Exported by the page server", DESK))


def reference() -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *(line for title, metrics in _TOPICS for line in _topic(title, metrics))])


def _topic(title: str, metrics: tuple[Metric, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| metric | type | labels | what it says |"
    yield "|---|---|---|---|"
    for metric in sorted(metrics, key=lambda metric: metric.name):
        yield f"| `{metric.full_name.removeprefix(PREFIX)}` | {_kind(metric)} | {_labels(metric)} | {metric.help} |"
    yield ""


def _kind(metric: Metric) -> str:
    return {Kind.STATE_SET: "state set"}.get(metric.kind, metric.kind.value)


def _labels(metric: Metric) -> str:
    states = [f"`{PREFIX}{metric.name}`: {', '.join(metric.states)}"] if metric.states else []
    bounds = [f"`le`: {', '.join(f'{bound:g}' for bound in metric.bounds)}"] if metric.bounds else []
    return "; ".join([*(f"`{label}`" for label in metric.labels), *states, *bounds])
