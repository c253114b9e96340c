"""The charts: round numbers beside them, everything inside them, and in words what they show."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_exporter import BotExporter
from nightdesk_exporter.curve import Point
from nightdesk_exporter.page.axis import axis
from nightdesk_exporter.page.curves import drawdown_card, equity_card
from nightdesk_exporter.page.view import View

from tests.exporter.conftest import NOW, Clock, make
from tests.exporter.page.conftest import view

VALUES = st.floats(min_value=-1e12, max_value=1e12)


@given(VALUES, VALUES)
def test_a_scale_holds_both_values_in_at_most_four_steps(first: float, second: float) -> None:
    lowest, highest = sorted((first, second))
    scale = axis(lowest, highest)
    slack = (scale.high - scale.low) * 1e-6
    assert scale.low <= lowest + slack
    assert scale.high >= highest - slack
    assert 1 <= len(scale.ticks()) - 1 <= 4
    assert all(-1e-6 <= scale.height(value) <= 1 + 1e-6 for value in (lowest, highest))


@pytest.mark.parametrize(
    ("lowest", "highest", "ticks", "places"),
    [
        (9_184.0, 10_858.0, (11_000, 10_500, 10_000, 9_500, 9_000), 0),
        (-1.0, 0.0, (0, -0.25, -0.5, -0.75, -1.0), 2),
        (-11.7, 0.0, (0, -5, -10, -15), 0),
        (10_000.0, 10_000.0, (10_100, 10_050, 10_000, 9_950, 9_900), 0),
        (0.0, 0.0, (1, 0.5, 0, -0.5, -1), 1),
        (0.0, 5e-324, (1, 0.5, 0, -0.5, -1), 1),
    ],
)
def test_a_scale_s_numbers_are_round(lowest: float, highest: float, ticks: tuple[float, ...], places: int) -> None:
    scale = axis(lowest, highest)
    assert scale.ticks() == pytest.approx(ticks)
    assert scale.places() == places


@pytest.fixture
def empty(exporter: BotExporter, clock: Clock) -> View:
    return view(exporter, clock)


def test_where_no_equity_was_reported_both_charts_say_so(empty: View) -> None:
    for shown in (equity_card(empty), drawdown_card(empty)):
        assert "No equity has been reported yet." in shown
        assert "<svg" not in shown


def test_a_chart_says_in_words_what_it_shows_to_who_does_not_see_it(empty: View) -> None:
    points = [Point(NOW, 10_000, 0.0), Point(NOW + 3600, 9_000, 0.1), Point(NOW + 7200, 10_500, 0.0)]
    shown = equity_card(replace(empty, points=points))
    assert 'role="img" aria-labelledby="equity-drawn equity-described"' in shown
    assert '<title id="equity-drawn">Equity over time</title>' in shown
    assert (
        '<desc id="equity-described">First 10,000.00 USDT at 2019-10-17 09:00:00 UTC, last 10,500.00 USDT at '
        "2019-10-17 11:00:00 UTC, lowest 9,000.00 USDT at 2019-10-17 10:00:00 UTC, highest 10,500.00 USDT at "
        "2019-10-17 11:00:00 UTC.</desc>"
    ) in shown
    drawdown = drawdown_card(replace(empty, points=points))
    assert "First 0.00 % at" in drawdown
    assert "highest 10.00 % at 2019-10-17 10:00:00 UTC." in drawdown


def test_drawdown_goes_down_from_0_filled_with_the_limits_that_it_came_near(empty: View) -> None:
    points = [Point(NOW, 100, 0.0), Point(NOW + 60, 88, 0.12), Point(NOW + 120, 97, 0.03)]
    shown = drawdown_card(replace(empty, points=points))
    assert '<path class="area" d="M0.0 0.0L300.0 128.0L600.0 32.0L600.0 0.0L0.0 0.0z"/>' in shown
    assert shown.count('class="limit"') == 2
    assert "<dt>Limits, dashed</dt><dd>5 % and 10 %</dd>" in shown
    shallow = drawdown_card(replace(empty, points=points[:1]))
    assert 'class="limit"' not in shallow
    assert "<span>\N{MINUS SIGN}1.00 %</span>" in shallow


def test_one_point_is_a_dot_at_the_end(empty: View) -> None:
    shown = equity_card(replace(empty, points=[Point(NOW, 10_000, 0.0)]))
    assert '<path class="last" d="M600.0 80.0h0"/>' in shown
    assert shown.count("10-17 09:00 UTC") == 1


def test_the_curve_goes_on_to_what_is_known_now(full: BotExporter, clock: Clock) -> None:
    """The exporter's curve is thinned out: its last point may be from long before."""
    full.snapshot.curve.add(Point(NOW, 1.0, 0.0))
    full.candle("BTC/USDT:USDT", "1h", close_time=NOW + 86_400)
    full.snapshot.equity, full.snapshot.drawdown_ratio = 9_500.0, 0.05
    found = view(full, clock)
    assert found.points[-1].equity != 9_500.0
    assert "last 9,500.00 USDT at 2019-10-18 09:00:00 UTC" in equity_card(found)
    assert "last 5.00 % at 2019-10-18 09:00:00 UTC" in drawdown_card(found)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1)), min_size=1, max_size=50))
def test_whatever_the_curve_everything_drawn_is_inside(drawn: list[tuple[float, float, float]]) -> None:
    points = [Point(*values) for values in sorted(drawn)]
    clock = Clock()
    found = replace(view(make(clock), clock), points=points)
    for shown in (equity_card(found), drawdown_card(found)):
        (line,) = re.findall(r'class="line" d="M([^"]*)"', shown)
        for place in line.split("L"):
            x, y = map(float, place.split(" "))
            assert math.isfinite(x)
            assert 0 <= x <= 600
            assert -0.1 <= y <= 160.1
