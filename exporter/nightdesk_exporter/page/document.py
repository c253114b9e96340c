"""The page around the sections, and the headers by which a browser runs and loads nothing but what is in it."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

from nightdesk_core.clock import iso, utc

from nightdesk_exporter.page.bot import bot_card
from nightdesk_exporter.page.curves import drawdown_card, equity_card
from nightdesk_exporter.page.events import events_card
from nightdesk_exporter.page.icons import icon, tab_icon
from nightdesk_exporter.page.model import model_card
from nightdesk_exporter.page.risk import risk_card
from nightdesk_exporter.page.trading import trading_card
from nightdesk_exporter.page.verdict import summary, verdict, verdict_of, word
from nightdesk_exporter.page.view import View

_WITHOUT_SCRIPT_SECONDS = 10


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


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


def document(view: View) -> str:
    """Return the page."""
    name, said = escape(str(view.status["bot"]["name"])), escape(summary(view))
    sections = (bot_card, trading_card, model_card, risk_card, equity_card, drawdown_card, events_card)
    now = utc(view.now)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f"<title>{word(view)} · {name}</title>"
        f'<link rel="icon" id="tab-icon" href="{tab_icon(verdict_of(view))}">'
        f'<noscript><meta http-equiv="refresh" content="{_WITHOUT_SCRIPT_SECONDS}"></noscript>'
        f"<style>{_STYLE}</style></head><body>"
        f'<header><h1><span class="hidden">Status of the bot </span>{name}</h1>'
        f'<p class="as-of">As of <time id="as-of" datetime="{iso(view.now)}">{now:%H:%M:%S} UTC</time>'
        '<span id="age"></span></p></header>'
        f'<p class="hidden" id="said" role="status" aria-live="polite" data-word="{word(view)}" data-summary="{said}">'
        "</p>"
        f'<section id="lost" class="verdict lost" role="alert" hidden><div class="answer">{icon("unknown")}'
        '<div><h2 id="lost-word"></h2><p class="since" id="lost-since"></p></div></div>'
        '<p id="lost-why"></p></section>'
        f'<main>{verdict(view)}<div class="cards">{"".join(section(view) for section in sections)}</div></main>'
        '<footer><p>The same as JSON: <a href="status">status</a>, <a href="healthz">healthz</a>; '
        'for Prometheus: <a href="metrics">metrics</a></p></footer>'
        f"<script>{_SCRIPT}</script></body></html>"
    )
