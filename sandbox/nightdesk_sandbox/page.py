"""The frame of the sandbox's web pages: one document, nothing from elsewhere, nothing that runs unasked."""

from __future__ import annotations

from html import escape

from aiohttp import web
from nightdesk_core.text import clean

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #8889; --box: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: .2rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; width: 12rem; }
@media (max-width: 30rem) { th { width: 8rem; } }
article { border: 1px solid var(--line); border-left: .35rem solid var(--dim); border-radius: .4rem;
  padding: .6rem .8rem; margin: .8rem 0; }
article.firing { border-left-color: #c62828; } article.resolved { border-left-color: #2e7d32; }
.badge { display: inline-block; border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; font-size: .8rem;
  margin-right: .4rem; }
.text { white-space: pre-wrap; margin: .3rem 0; }
pre { white-space: pre-wrap; background: var(--box); border-radius: .3rem; padding: .5rem; font-size: .8rem; }
footer, time, .dim { opacity: .7; font-size: .85rem; }
"""


def page_response(
    title: str, body: str, *, refresh_seconds: int | None = None, script: str = "", nonce: str = ""
) -> web.Response:
    """Return a page of `body`, which must be escaped already.

    Only `script` may run, by its `nonce`. Nothing may be loaded, embedded or framed, and nothing sent but to the
    server that the page is from.
    """
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds else ""
    inline = f'<script nonce="{escape(nonce)}">{script}</script>' if script else ""
    text = clean(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{refresh}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}{inline}</body></html>"
    )
    scripts = f"'nonce-{nonce}'" if script else "'none'"
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, content_type="text/html", headers=headers)
