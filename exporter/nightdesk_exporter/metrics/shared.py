"""A registry of somebody else's, in which the exporter's metrics lie beside theirs while it runs."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.metrics.registry import Failed, ForeignRegistry

PROCESS_COLLECTORS = (ProcessCollector, PlatformCollector, GCCollector)
"""What says of the process, beside what says of the bot."""


class Shared:
    """Our collector in a registry that is not ours. What says of the process is added where they have it not."""

    def __init__(self, registry: CollectorRegistry, ours: Collector) -> None:
        self._registry = registry
        self._ours = ours
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
        for kind in PROCESS_COLLECTORS:
            collector = kind(registry=CollectorRegistry())
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
