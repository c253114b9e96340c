"""A line over time as a drawing that is stretched to whatever width there is.

What is written stands beside it as text, so that it is as large on a phone as on a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from nightdesk_core.clock import utc

from nightdesk_exporter.page.axis import Axis
from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.words import time_tag

_WIDTH, _HEIGHT = 600.0, 160.0
_CHART = Html(
    '<div class="chart"><div class="ticks" aria-hidden="true">{ticks}</div>'
    '<svg class="drawing" viewBox="{view}" preserveAspectRatio="none" role="img" '
    'aria-labelledby="{name}-drawn {name}-described">'
    '<title id="{name}-drawn">{title}</title>'
    '<desc id="{name}-described">{description}</desc>{grid}{curve}</svg>'
    '<div class="times" aria-hidden="true">{times}</div></div>'
)


@dataclass(frozen=True)
class Chart:
    """What to draw: `values` at `times`, oldest first, and dashed lines at `limits`. `written` are the ticks' words.

    `description` says in words what the drawing shows. `filled_from` is the value that the area begins at.
    """

    name: str
    title: str
    description: Html
    times: Sequence[float]
    values: Sequence[float]
    axis: Axis
    written: Sequence[Html]
    limits: Sequence[float] = ()
    filled_from: float | None = None


def drawn(chart: Chart) -> Html:
    """Return a chart of at least one value, as a drawing."""
    return _CHART.format(
        ticks=NOTHING.join(Html("<span>{}</span>").format(text) for text in chart.written),
        view=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        name=chart.name,
        title=chart.title,
        description=chart.description,
        grid=_grid(chart),
        curve=_curve(chart),
        times=_times(chart),
    )


def _times(chart: Chart) -> Html:
    """Return where the drawing begins and ends, short enough for both to stand side by side on a phone."""
    begun, ended = utc(chart.times[0]), utc(chart.times[-1])
    form = "%Y-%m-%d" if ended - begun >= timedelta(days=2) else "%m-%d %H:%M UTC"
    return NOTHING.join(
        Html("<span>{}</span>").format(time_tag(at, at.strftime(form))) for at in sorted({begun, ended})
    )


def _grid(chart: Chart) -> Html:
    lines = [("grid", value) for value in chart.axis.ticks()]
    lines += [("limit", value) for value in chart.limits if chart.axis.low <= value <= chart.axis.high]
    return NOTHING.join(
        Html('<path class="{}" d="{}"/>').format(kind, f"M0 {_y(chart, value):.1f}H{_WIDTH:g}") for kind, value in lines
    )


def _curve(chart: Chart) -> Html:
    begun, ended = chart.times[0], chart.times[-1]
    across = [(at - begun) / (ended - begun) * _WIDTH if ended > begun else _WIDTH for at in chart.times]
    places = [f"{x:.1f} {_y(chart, value):.1f}" for x, value in zip(across, chart.values, strict=True)]
    line = "M" + "L".join(places)
    area = NOTHING
    if chart.filled_from is not None:
        base = _y(chart, chart.filled_from)
        area = Html('<path class="area" d="{}"/>').format(
            f"{line}L{across[-1]:.1f} {base:.1f}L{across[0]:.1f} {base:.1f}z"
        )
    # A line of no length with round ends is a dot that the stretching leaves round.
    return Html('{}<path class="line" d="{}"/><path class="last" d="M{}h0"/>').format(area, line, places[-1])


def _y(chart: Chart, value: float) -> float:
    return chart.axis.height(value) * _HEIGHT
