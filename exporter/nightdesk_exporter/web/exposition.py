"""The metrics as a scrape wants them: text or OpenMetrics, all or by `name[]`, packed or not.

The formats are the Prometheus client's own. It renders under the interpreter lock, 10,000 series in about 110 ms, and
a thread that wants the lock gets it only after 5 ms (`sys.getswitchinterval`) each time. So rendering lets go of the
lock itself, every millisecond and for long enough that another thread takes it.

A full garbage collection cannot be sliced: with 10,000 series in the process it holds the lock for 20 ms, and the
samples of a rendering bring one about at every eighth scrape. They hold no cycles, so it waits until they are gone.
"""

from __future__ import annotations

import copy
import gc
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

Encoder = Callable[[Collector], bytes]

_SLICE_SECONDS = 0.001
_PAUSE_SECONDS = 0.000_05
"""`sleep(0)` would not do: the lock is free too briefly for a waiting thread to wake up and take it."""

_OPENMETRICS_END = b"# EOF\n"
_GZIP_LEVEL = 1
"""On 0.5 MB of 10,000 series: 1.4 ms and 16% of the size; level 6 takes 6.4 ms for 14%, level 9 takes 29 ms."""
_GZIP_WINDOW = 31  # the largest window, with gzip's header


@dataclass(frozen=True)
class Wish:
    """What a scrape asks for: the same wishes are served by one rendering."""

    accept: str
    names: frozenset[str]
    packed: bool


class GarbageWaits:
    """Garbage collections wait from entry to `end()`; where they are switched off already, they stay so."""

    def __init__(self) -> None:
        self._was_enabled = False

    def __enter__(self) -> None:
        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let them run again; also from another thread, where a collector hangs."""
        if self._was_enabled:
            self._was_enabled = False
            gc.enable()


class StoppedError(Exception):
    """The server closes: nobody waits for this rendering any more."""


def exposition(registry: CollectorRegistry, wish: Wish, *, stopped: Callable[[], bool]) -> tuple[bytes, str]:
    """Return the body and its content type. Passes on what a collector raises; `StoppedError` once `stopped` is."""
    encode, content_type = _encoder(wish.accept)
    pace = _Pace(stopped)
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW) if wish.packed else None
    parts = []
    for part in _parts(registry, wish.names, encode, pace):
        parts.append(part if packer is None else packer.compress(part))
        pace()
    if packer is not None:
        parts.append(packer.flush())
    return b"".join(parts), content_type


def gzip_wanted(accept_encoding: str) -> bool:
    """Return whether the client takes gzip: it names it, and not with a quality of 0."""
    for item in accept_encoding.split(","):
        coding, _, parameter = item.partition(";")
        if coding.strip().lower() == "gzip":
            return parameter.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _encoder(accept: str) -> tuple[Encoder, str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # the client compares versions that are no numbers
        return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


def _parts(
    registry: CollectorRegistry, names: Collection[str], encode: Encoder, pace: Callable[[], None]
) -> Iterator[bytes]:
    """Yield the exposition family by family: no more than one is held in full."""
    for metric in registry.collect():
        samples = [sample for sample in metric.samples if sample.name in names] if names else metric.samples
        if names and not samples:
            continue
        paced = copy.copy(metric)  # a collector may hand out the same one again
        paced.samples = _PacedSamples(samples, pace)
        yield encode(_One(paced)).removesuffix(_OPENMETRICS_END)
    # The end of the OpenMetrics format, nothing in the text format.
    yield encode(CollectorRegistry())


class _Pace:
    """Lets other threads run once a slice of time was used."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self._until = time.perf_counter() + _SLICE_SECONDS

    def __call__(self) -> None:
        if time.perf_counter() < self._until:
            return
        if self._stopped():
            raise StoppedError
        time.sleep(_PAUSE_SECONDS)
        self._until = time.perf_counter() + _SLICE_SECONDS


class _PacedSamples(list[Sample]):
    """Samples that let other threads run while they are walked over."""

    def __init__(self, samples: list[Sample], pace: Callable[[], None]) -> None:
        super().__init__(samples)
        self._pace = pace

    def __iter__(self) -> Iterator[Sample]:
        for sample in super().__iter__():
            self._pace()
            yield sample


class _One(Collector):
    """A registry of a single family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric
