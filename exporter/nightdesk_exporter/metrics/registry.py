"""A registry whose collectors may fail: what one cannot say, the others say all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Failed = Callable[[str, Exception], None]
"""Is told what could not be collected, and what was raised."""


def as_far_as_it_goes(families: Callable[[], Iterable[Metric]], name: str, failed: Failed) -> Iterator[Metric]:
    """Yield families until there are no more, or until one cannot be said; then `failed` is told."""
    try:
        found = iter(families())
        while True:
            try:
                metric = next(found)
            except StopIteration:
                return
            yield metric
    except Exception as error:  # noqa: BLE001 - the border: the rest is to be seen all the same
        failed(name, error)


class SafeRegistry(CollectorRegistry):
    """The Prometheus client's registry. A collector that raises is passed over, and `failed` is told its class."""

    def __init__(self, failed: Failed) -> None:
        super().__init__()
        self._failed = failed
        self._guarded: dict[Collector, _Guarded] = {}

    def register(self, collector: Collector) -> None:
        """Add a collector. Raises what it raises where it is asked what it will collect."""
        guarded = _Guarded(collector, self._failed)
        super().register(guarded)
        self._guarded[collector] = guarded

    def unregister(self, collector: Collector) -> None:
        """Remove a collector. Raises `KeyError` where it was never added."""
        super().unregister(self._guarded.pop(collector))


class ForeignRegistry(CollectorRegistry):
    """What somebody else's registry holds, as it is served here: a collector that raises is passed over and told of."""

    def __init__(self, registry: CollectorRegistry, failed: Failed) -> None:
        super().__init__()
        self._registry = registry
        self._failed = failed

    def collect(self) -> Iterator[Metric]:
        """Yield the families of each collector, as far as it goes."""
        # The client has no public name for them. Without it one that raises would end all.
        for collector in tuple(getattr(self._registry, "_collector_to_names", (self._registry,))):
            yield from as_far_as_it_goes(collector.collect, type(collector).__name__, self._failed)


class _Guarded(Collector):
    def __init__(self, collector: Collector, failed: Failed) -> None:
        self._collector = collector
        self._failed = failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collector, name)  # `describe`, which some collectors have

    def collect(self) -> Iterator[Metric]:
        yield from as_far_as_it_goes(self._collector.collect, type(self._collector).__name__, self._failed)
