"""What a person came for: whether all is well, since when, and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightdesk_exporter.page.icons import icon
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import lasting, said

_KNOWN = ("healthy", "degraded", "unhealthy")
_MEANINGS = {
    "healthy": "The bot does its work, and nothing needs a look.",
    "degraded": "The bot does its work, but something needs a look.",
    "unhealthy": "The bot does not do its work.",
    "unknown": "The bot's loop has not turned yet.",
}


def verdict_of(view: View) -> str:
    """Return the verdict, one of those that have a sign. A bot that has ended is not healthy, whatever it was."""
    bot = view.status["bot"]
    if not bot["running"]:
        return "unhealthy"
    return bot["health"] if bot["health"] in _KNOWN else "unknown"


def word(view: View) -> str:
    """Return the verdict's word."""
    return verdict_of(view).capitalize() if view.status["bot"]["running"] else "Stopped"


def summary(view: View) -> str:
    """Return the verdict as a sentence that can be read out, not yet escaped."""
    bot = view.status["bot"]
    causes = [issue["cause"] for issue in _worst_first(bot["issues"])]
    return f"{bot['name']}: {word(view)}. {'; '.join(causes) or _meaning(view)}"


def verdict(view: View) -> str:
    """Return the part of the page that says it all."""
    bot, found = view.status["bot"], verdict_of(view)
    issues = "".join(_issue(issue, view.now) for issue in _worst_first(bot["issues"]))
    listed = f'<ul class="issues">{issues}</ul>' if issues else ""
    return (
        f'<section class="verdict {found}" id="verdict" aria-labelledby="verdict-title">'
        f'<div class="answer">{icon(found)}<div><h2 id="verdict-title">{word(view)}</h2>{_since(view)}</div></div>'
        f"<p>{said(_meaning(view))}</p>{listed}</section>"
    )


def _meaning(view: View) -> str:
    bot = view.status["bot"]
    if bot["running"]:
        return _MEANINGS[verdict_of(view)]
    return f"The bot ended by {bot['stopped_by']}" if bot["stopped_by"] else "The bot was stopped."


def _since(view: View) -> str:
    bot = view.status["bot"]
    if bot["health_since"] is None or not bot["running"]:
        return ""
    return f'<p class="since">{lasting(bot["health_since"], now=view.now)}</p>'


def _worst_first(issues: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(issues, key=lambda issue: issue["verdict"] != "unhealthy")


def _issue(issue: Mapping[str, Any], now: float) -> str:
    level = issue["verdict"] if issue["verdict"] in _KNOWN else "unknown"
    alert = f" · alert <code>{said(issue['alert'])}</code>" if issue["alert"] else " · wakes nobody"
    cause = issue["cause"]
    return (
        f'<li class="{level}">{icon(level)}<div><p class="cause">{said(cause[:1].upper() + cause[1:])}</p>'
        f'<p class="note"><strong>{level.capitalize()}</strong> · {lasting(issue["since"], now=now)}{alert}</p>'
        "</div></li>"
    )
