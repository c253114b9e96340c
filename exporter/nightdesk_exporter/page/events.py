"""What happened last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightdesk_core.clock import WallTime

from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.parts import MOST_UNFOLDED, card, fold
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import age, said

_LEVELS = ("debug", "info", "success", "warning", "error", "critical")
_EVENT = Html(
    '<li class="{}"><span class="level">{}</span><span class="text">{}</span><span class="when">{}</span></li>'
)


def events_card(view: View) -> Html:
    """Return the last events, newest first."""
    events = list(reversed(view.status["bot"]["events"]))
    if not events:
        return card("events", "Last events", Html('<p class="empty">Nothing has happened yet.</p>'), kind="full")
    body = _list(events[:MOST_UNFOLDED], view.now)
    if earlier := events[MOST_UNFOLDED:]:
        body += fold("earlier", f"Earlier events ({len(earlier)})", _list(earlier, view.now))
    return card("events", "Last events", body, kind="full")


def _list(events: list[Mapping[str, Any]], now: WallTime) -> Html:
    return Html('<ol class="events">{}</ol>').format(NOTHING.join(_event(event, now) for event in events))


def _event(event: Mapping[str, Any], now: WallTime) -> Html:
    level = event["level"] if event["level"] in _LEVELS else "info"
    return _EVENT.format(level, said(event["level"]), said(event["text"]), age(event["at"], now=now))
