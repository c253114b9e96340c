"""Stretches of time, as half-open spans [start, end) of Unix seconds."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same time as few spans, in order; empty ones fall away."""
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def within(spans: Iterable[Span], bounds: Span) -> tuple[Span, ...]:
    """Return what of the spans lies inside `bounds`."""
    return union((max(start, bounds[0]), min(end, bounds[1])) for start, end in spans)


def missing(spans: Iterable[Span], wanted: Span) -> tuple[Span, ...]:
    """Return what of `wanted` no span covers, in order."""
    found, at = [], wanted[0]
    for start, end in within(spans, wanted):
        found.append((at, start))
        at = end
    return union([*found, (at, wanted[1])])


def without(spans: Iterable[Span], removed: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans less the time of others."""
    gone = union(removed)
    return union(part for span in union(spans) for part in missing(gone, span))


def together(spans: Iterable[Span], *, longest: int) -> tuple[Span, ...]:
    """Return spans that hold all of these, neighbours in one wherever that one is not longer than `longest` seconds."""
    joined: list[Span] = []
    for start, end in union(spans):
        if joined and end - joined[-1][0] <= longest:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
