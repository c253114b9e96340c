"""Values as people read them."""

from __future__ import annotations

import re

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_exporter.page.words import (
    UNKNOWN,
    age,
    ago,
    date,
    lasting,
    limit,
    money,
    number,
    said,
    share,
    span,
    term,
)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (3_660, "1 h 1 min"),
        (2 * 86_400 - 1, "47 h 59 min"),
        (2 * 86_400, "2 days"),
        (91.5 * 86_400, "91 days"),
    ],
)
def test_a_span_is_told_in_the_units_that_matter(seconds: float, told: str) -> None:
    assert span(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "just now"), (1.9, "just now"), (2, "2 s ago"), (-1, "just now"), (-30, "in 30 s")]
)
def test_what_lies_ahead_is_not_told_as_past(seconds: float, told: str) -> None:
    assert ago(seconds) == told


@pytest.mark.parametrize(
    "shown",
    [
        age(None, now=WallTime(0)),
        age("soon", now=WallTime(0)),
        lasting(None, now=WallTime(0)),
        date(None),
        said(None),
        said(""),
        term(None),
        number(None),
        money(None, "USDT"),
        share(None),
    ],
)
def test_what_is_not_known_is_unknown(shown: str) -> None:
    assert shown == UNKNOWN


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-1234.5), "\N{MINUS SIGN}1,234.50"),
        (share(-0.00001, signed=True), "0.00 %"),
        (share(0.0042, signed=True), "+0.42 %"),
        (share(-0.0042, signed=True), "\N{MINUS SIGN}0.42 %"),
        (share(0), "0.00 %"),
        (limit(0.05), "5 %"),
        (limit(0.0125), "1.25 %"),
        (money(0.0, "<b>"), "0.00 &lt;b&gt;"),
        (term("trending_up"), "trending up"),
        (said(0), "0"),
    ],
)
def test_numbers_are_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_time_without_a_zone_is_utc() -> None:
    assert re.findall(r'datetime="([^"]*)"', date("2019-10-17T09:00:00")) == ["2019-10-17T09:00:00Z"]
