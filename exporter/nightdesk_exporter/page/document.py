"""The page around the sections, and the headers by which a browser runs and loads nothing but what is in it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from nightdesk_core.clock import iso, utc

from nightdesk_exporter.page.bot import bot_card
from nightdesk_exporter.page.curves import drawdown_card, equity_card
from nightdesk_exporter.page.events import events_card
from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.icons import icon, tab_icon
from nightdesk_exporter.page.model import model_card
from nightdesk_exporter.page.risk import risk_card
from nightdesk_exporter.page.trading import trading_card
from nightdesk_exporter.page.verdict import summary, verdict, verdict_of, word
from nightdesk_exporter.page.view import View

_WITHOUT_SCRIPT_SECONDS = 10


def _asset(name: str) -> Html:
    return Html(Path(__file__).with_name(name).read_text(encoding="utf-8"))  # noqa: S704 - a file of our own


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


_STYLE, _SCRIPT = _asset("page.css"), _asset("page.js")

HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


_PAGE = Html(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
    "<title>{word} · {name}</title>"
    '<link rel="icon" id="tab-icon" href="{tab_icon}">'
    '<noscript><meta http-equiv="refresh" content="{refresh_seconds}"></noscript>'
    "<style>{style}</style></head><body>"
    '<header><h1><span class="hidden">Status of the bot </span>{name}</h1>'
    '<p class="as-of">As of <time id="as-of" datetime="{now}">{clock}</time>'
    '<span id="age"></span></p></header>'
    '<p class="hidden" id="said" role="status" aria-live="polite" data-word="{word}" data-summary="{summary}">'
    "</p>"
    '<section id="lost" class="verdict lost" role="alert" hidden><div class="answer">{unknown}'
    '<div><h2 id="lost-word"></h2><p class="since" id="lost-since"></p></div></div>'
    '<p id="lost-why"></p></section>'
    '<main>{verdict}<div class="cards">{cards}</div></main>'
    '<footer><p>The same as JSON: <a href="status">status</a>, <a href="healthz">healthz</a>; '
    'for Prometheus: <a href="metrics">metrics</a></p></footer>'
    "<script>{script}</script></body></html>"
)


def document(view: View) -> Html:
    """Return the page."""
    model = (model_card,) if "model" in view.status else ()  # a bot without one has no such section
    sections = (bot_card, trading_card, *model, risk_card, equity_card, drawdown_card, events_card)
    return _PAGE.format(
        word=word(view),
        name=view.status["bot"]["name"],
        tab_icon=tab_icon(verdict_of(view)),
        refresh_seconds=_WITHOUT_SCRIPT_SECONDS,
        style=_STYLE,
        now=iso(view.now),
        clock=f"{utc(view.now):%H:%M:%S} UTC",
        summary=summary(view),
        unknown=icon("unknown"),
        verdict=verdict(view),
        cards=NOTHING.join(section(view) for section in sections),
        script=_SCRIPT,
    )
