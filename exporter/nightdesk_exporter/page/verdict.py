"""What a person came for: whether all is well, since when, and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightdesk_alerts.catalogue import ACCOUNT_ISSUES
from nightdesk_core.clock import WallTime

from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.icons import icon
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import lasting, said

_KNOWN = ("healthy", "degraded", "unhealthy")
_SECTION = Html(
    '<section class="verdict {verdict}" id="verdict" aria-labelledby="verdict-title">'
    '<div class="answer">{icon}<div><h2 id="verdict-title">{word}</h2>{since}</div></div>'
    "<p>{meaning}</p>{issues}</section>"
)
_ISSUE = Html(
    '<li class="{level}">{icon}<div><p class="cause">{cause}</p>'
    '<p class="note"><strong>{word}</strong> · {lasting}{alert}</p></div></li>'
)
_MEANINGS = {
    "healthy": "The bot does its work, and nothing needs a look.",
    "degraded": "The bot does its work, but something needs a look.",
    "unhealthy": "The bot does not do its work.",
    "unknown": "The bot's loop has not turned yet.",
}
_PAST_A_LIMIT = "The bot does its work, but its account is past a limit."
_KILLED = "The kill switch is on: nothing is entered until a person lifts it."


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
    """Return the verdict as a sentence that can be read out."""
    bot = view.status["bot"]
    causes = [issue["cause"] for issue in bot["issues"]]
    return f"{bot['name']}: {word(view)}. {'; '.join(causes) or _meaning(view)}"


def verdict(view: View) -> Html:
    """Return the part of the page that says it all."""
    bot, found = view.status["bot"], verdict_of(view)
    issues = NOTHING.join(_issue(issue, view.now) for issue in bot["issues"])
    return _SECTION.format(
        verdict=found,
        icon=icon(found),
        word=word(view),
        since=_since(view),
        meaning=_meaning(view),
        issues=Html('<ul class="issues">{}</ul>').format(issues) if issues else NOTHING,
    )


def _meaning(view: View) -> str:
    bot, found = view.status["bot"], verdict_of(view)
    if bot["running"]:
        hindering = {issue["name"] for issue in bot["issues"] if issue["verdict"] == "unhealthy"} - ACCOUNT_ISSUES
        meaning = _PAST_A_LIMIT if found == "unhealthy" and not hindering else _MEANINGS[found]
        if view.status["trading"]["kill_switch"]:
            return f"{_KILLED} {meaning}" if hindering else _KILLED
        return meaning
    return f"The bot ended by {bot['stopped_by']}" if bot["stopped_by"] else "The bot was stopped."


def _since(view: View) -> Html:
    bot = view.status["bot"]
    if bot["health_since"] is None or not bot["running"]:
        return NOTHING
    return Html('<p class="since">{}</p>').format(lasting(bot["health_since"], now=view.now))


def _issue(issue: Mapping[str, Any], now: WallTime) -> Html:
    level = issue["verdict"] if issue["verdict"] in _KNOWN else "unknown"
    alert = Html(" · wakes nobody")
    if issue["alert"]:
        alert = Html(' · alert <a href="runbooks/{}"><code>{}</code></a>').format(issue["alert"], issue["alert"])
    cause = issue["cause"]
    return _ISSUE.format(
        level=level,
        icon=icon(level),
        cause=said(cause[:1].upper() + cause[1:]),
        word=level.capitalize(),
        lasting=lasting(issue["since"], now=now),
        alert=alert,
    )
