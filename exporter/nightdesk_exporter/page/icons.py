"""A shape for each verdict and level, so that none is told by its colour alone."""

from __future__ import annotations

from nightdesk_exporter.page.html import Html

_DRAWINGS = {
    # A circle with a tick, a triangle and an octagon with an exclamation mark, a dashed circle with a question mark.
    "healthy": Html('<circle cx="12" cy="12" r="10"/><path class="mark" d="m7.5 12.4 3.1 3.1 6-6.6"/>'),
    "degraded": Html('<path d="M12 2.2 23 21.5H1z"/><path class="mark" d="M12 9.5v5.2M12 18v.1"/>'),
    "unhealthy": Html(
        '<path d="M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9z"/><path class="mark" d="M12 7v6M12 16.8v.1"/>'
    ),
    "unknown": Html(
        '<rect x="2" y="2" width="20" height="20" rx="3"/>'
        '<path class="mark" d="M9.2 9.3c0-3.9 5.8-3.7 5.8-.3 0 2.2-2.9 2.3-2.9 4.6M12.1 17v.1"/>'
    ),
}

_TAB_COLOURS = {"healthy": "#1a7f37", "degraded": "#b06a00", "unhealthy": "#c62828", "unknown": "#5b6472"}


def icon(verdict: str) -> Html:
    """Return a verdict's sign, which screen readers pass over: the word stands beside it."""
    return Html('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>').format(_DRAWINGS[verdict])


def tab_icon(verdict: str) -> Html:
    """Return the sign as the address of a picture, for the browser's tab."""
    drawing = _DRAWINGS[verdict].replace(
        'class="mark"', "fill='none' stroke='white' stroke-width='2.6' stroke-linecap='round'"
    )
    colour = _TAB_COLOURS[verdict].replace("#", "%23")
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='{colour}'>{drawing}</svg>"
    quoted = svg.replace('"', "'").replace("<", "%3C").replace(">", "%3E")
    return Html(f"data:image/svg+xml,{quoted}")  # noqa: S704 - of the drawings and colours above
