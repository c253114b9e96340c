"""A registry of somebody else's, in which the exporter's metrics lie beside theirs while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from nightdesk_core.clock import WallTime
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.metrics.registry import Failed, ForeignRegistry

_START = "process_start_time_seconds"


def process_collectors(started: WallTime) -> Iterator[Collector]:
    """Yield what says of the process, beside what says of the bot.

    Where there is no /proc, as on macOS and Windows, the client says nothing of a process, not even when it started;
    but every alert on an age asks that first. There it is when the exporter was made.
    """
    of_process = ProcessCollector(registry=None)
    yield of_process
    yield PlatformCollector(registry=None)
    yield GCCollector(registry=CollectorRegistry())
    if not any(metric.name == _START for metric in of_process.collect()):
        yield _Start(started)


class _Start(Collector):
    def __init__(self, started: WallTime) -> None:
        self._started = started

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            _START, "When the exporter was made, in seconds since the epoch.", self._started.seconds
        )


class Shared:
    """Our collector in a registry that is not ours. What says of the process is added where they have it not."""

    def __init__(self, registry: CollectorRegistry, ours: Collector, *, started: WallTime) -> None:
        self._registry = registry
        self._ours = ours
        self._started = started
        self._added: list[Collector] = []

    def join(self) -> None:
        """Add ours. Raises `ExporterError` where metrics of the same name lie there."""
        try:
            self._registry.register(self._ours)
        except ValueError as error:
            raise ExporterError(
                f"the registry holds metrics of the same names ({error}): is there another exporter in it? Give each"
                " bot a registry of its own"
            ) from error
        self._added.append(self._ours)
        for collector in process_collectors(self._started):
            with suppress(ValueError):  # theirs says the same
                self._registry.register(collector)
                self._added.append(collector)

    def leave(self) -> None:
        """Take out what was added."""
        for collector in self._added:
            with suppress(KeyError):  # somebody was here before
                self._registry.unregister(collector)
        self._added.clear()

    def seen(self, failed: Failed) -> CollectorRegistry:
        """Return the whole as it is served: one that raises takes no other with it."""
        return ForeignRegistry(self._registry, failed)
