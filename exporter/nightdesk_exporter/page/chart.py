"""A line over time as a drawing that is stretched to whatever width there is.

What is written stands beside it as text, so that it is as large on a phone as on a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from nightdesk_core.clock import utc

from nightdesk_exporter.page.axis import Axis
from nightdesk_exporter.page.words import time_tag

_WIDTH, _HEIGHT = 600.0, 160.0


@dataclass(frozen=True)
class Chart:
    """What to draw: `values` at `times`, oldest first, and dashed lines at `limits`. `written` are the ticks' words.

    `description` says in words what the drawing shows. `filled_from` is the value that the area begins at.
    """

    name: str
    title: str
    description: str
    times: Sequence[float]
    values: Sequence[float]
    axis: Axis
    written: Sequence[str]
    limits: Sequence[float] = ()
    filled_from: float | None = None


def drawn(chart: Chart) -> str:
    """Return a chart of at least one value, as HTML."""
    ticks = "".join(f"<span>{text}</span>" for text in chart.written)
    return (
        f'<div class="chart"><div class="ticks" aria-hidden="true">{ticks}</div>'
        f'<svg class="drawing" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-labelledby="{chart.name}-drawn {chart.name}-described">'
        f'<title id="{chart.name}-drawn">{chart.title}</title>'
        f'<desc id="{chart.name}-described">{chart.description}</desc>{_grid(chart)}{_curve(chart)}</svg>'
        f'<div class="times" aria-hidden="true">{_times(chart)}</div></div>'
    )


def _times(chart: Chart) -> str:
    """Return where the drawing begins and ends, short enough for both to stand side by side on a phone."""
    begun, ended = utc(chart.times[0]), utc(chart.times[-1])
    form = "%Y-%m-%d" if ended - begun >= timedelta(days=2) else "%m-%d %H:%M UTC"
    return "".join(f"<span>{time_tag(at, at.strftime(form))}</span>" for at in sorted({begun, ended}))


def _grid(chart: Chart) -> str:
    lines = [("grid", value) for value in chart.axis.ticks()]
    lines += [("limit", value) for value in chart.limits if chart.axis.low <= value <= chart.axis.high]
    return "".join(f'<path class="{kind}" d="M0 {_y(chart, value):.1f}H{_WIDTH:g}"/>' for kind, value in lines)


def _curve(chart: Chart) -> str:
    begun, ended = chart.times[0], chart.times[-1]
    across = [(at - begun) / (ended - begun) * _WIDTH if ended > begun else _WIDTH for at in chart.times]
    places = [f"{x:.1f} {_y(chart, value):.1f}" for x, value in zip(across, chart.values, strict=True)]
    line = "M" + "L".join(places)
    area = ""
    if chart.filled_from is not None:
        base = _y(chart, chart.filled_from)
        area = f'<path class="area" d="{line}L{across[-1]:.1f} {base:.1f}L{across[0]:.1f} {base:.1f}z"/>'
    # A line of no length with round ends is a dot that the stretching leaves round.
    return f'{area}<path class="line" d="{line}"/><path class="last" d="M{places[-1]}h0"/>'


def _y(chart: Chart, value: float) -> float:
    return chart.axis.height(value) * _HEIGHT
