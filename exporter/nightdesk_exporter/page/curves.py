"""The account over time: equity, and drawdown going down from 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nightdesk_core.clock import iso

from nightdesk_exporter.curve import Point
from nightdesk_exporter.page.axis import axis
from nightdesk_exporter.page.chart import Chart, drawn
from nightdesk_exporter.page.html import Html
from nightdesk_exporter.page.parts import card, facts
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import exact, limit, moment, number, said, share

_EMPTY = Html('<p class="empty">No equity has been reported yet.</p>')
_SHALLOWEST_PERCENT = 1.0
"""A drawdown of nearly nothing must not fill the chart."""


def equity_card(view: View) -> Html:
    """Return equity's section."""
    points, currency = _points(view), said(view.status["risk"]["currency"])
    if not points:
        return card("equity", "Equity", _EMPTY)
    values = [point.equity for point in points]
    scale = axis(min(values), max(values))

    chart = Chart(
        name="equity",
        title="Equity over time",
        description=_described(points, values, lambda value: Html("{} {}").format(number(value), currency)),
        times=[point.at for point in points],
        values=values,
        axis=scale,
        written=[number(tick, f",.{scale.places()}f") for tick in scale.ticks()],
    )
    rows = [("Last", number(values[-1])), ("Lowest", number(min(values))), ("Highest", number(max(values)))]
    return card("equity", Html("Equity in {}").format(currency), drawn(chart) + facts(rows))


def drawdown_card(view: View) -> Html:
    """Return drawdown's section."""
    points = _points(view)
    if not points:
        return card("drawdown", "Drawdown", _EMPTY)
    ratios = [point.drawdown_ratio for point in points]
    scale = axis(min(-100 * max(ratios), -_SHALLOWEST_PERCENT), 0.0)
    limits = (view.limits.drawdown_warning_ratio, view.limits.drawdown_critical_ratio)
    drawn_limits = [ratio for ratio in limits if -100 * ratio >= scale.low]
    chart = Chart(
        name="drawdown",
        title="Drawdown over time",
        description=_described(points, ratios, share),
        times=[point.at for point in points],
        values=[-100 * ratio for ratio in ratios],
        axis=scale,
        written=[number(tick + 0.0, f".{scale.places()}f") + " %" for tick in scale.ticks()],
        limits=[-100 * ratio for ratio in drawn_limits],
        filled_from=0.0,
    )
    rows = [("Last", share(ratios[-1])), ("Lowest", share(min(ratios))), ("Highest", share(max(ratios)))]
    if drawn_limits:
        rows.append(("Limits, dashed", Html(" and ").join(limit(ratio) for ratio in drawn_limits)))
    return card("drawdown", "Drawdown", drawn(chart) + facts(rows))


def _points(view: View) -> Sequence[Point]:
    """Return the curve up to what is known now: it is thinned out, and may end before."""
    risk, at = view.status["risk"], moment(view.status["bot"].get("market_time"))
    equity, drawdown = risk["equity"], risk["drawdown_ratio"]
    until = view.now.seconds if at is None else at.timestamp()
    if equity is None or drawdown is None:
        return view.points
    return (*(point for point in view.points if point.at < until), Point(until, equity, drawdown))


def _described(points: Sequence[Point], values: Sequence[float], shown: Callable[[float], Html]) -> Html:
    """Say what a drawing shows to who does not see it."""

    def at(index: int) -> str:
        time = moment(iso(points[index].at))
        return "" if time is None else f" at {exact(time)}"

    lowest, highest = values.index(min(values)), values.index(max(values))
    named = (0, -1, lowest, highest)
    return Html("First {}{}, last {}{}, lowest {}{}, highest {}{}.").format(
        *(part for index in named for part in (shown(values[index]), at(index)))
    )
