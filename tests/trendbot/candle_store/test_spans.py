"""Spans behave as the sets of seconds that they stand for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from nightdesk_trendbot.candle_store.spans import Span, missing, together, union, within, without

SPAN = st.tuples(st.integers(0, 40), st.integers(0, 40))
SPANS = st.lists(SPAN, max_size=6)


def seconds(spans: object) -> set[int]:
    assert isinstance(spans, (list, tuple))
    return {second for start, end in spans for second in range(start, end)}


def is_tidy(spans: tuple[Span, ...]) -> bool:
    """In order, none empty, no two that touch."""
    return all(start < end for start, end in spans) and all(one[1] < other[0] for one, other in pairwise(spans))


@given(SPANS, SPANS, SPAN)
def test_spans_are_sets_of_seconds(spans: list[Span], others: list[Span], wanted: Span) -> None:
    cases = [
        (union(spans), seconds(spans)),
        (within(spans, wanted), seconds(spans) & seconds([wanted])),
        (missing(spans, wanted), seconds([wanted]) - seconds(spans)),
        (without(spans, others), seconds(spans) - seconds(others)),
    ]
    for found, expected in cases:
        assert seconds(found) == expected
        assert is_tidy(found)


@given(SPANS, st.integers(1, 30))
def test_neighbours_come_together_up_to_a_length(spans: list[Span], longest: int) -> None:
    found = together(spans, longest=longest)
    assert seconds(spans) <= seconds(found)
    assert all(end - start <= longest or (start, end) in union(spans) for start, end in found)
    assert len(found) <= len(union(spans))
