"""The page server's own pages: the start page and the login."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from nightdesk_core.clock import iso

from nightdesk.pages.upstream import UPSTREAMS
from nightdesk.settings import Settings
from nightdesk.silences import Muted, shown, silenced_names

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Nightdesk</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; overflow-wrap: anywhere }
form { display: inline }
</style>
"""


def login_page(*, message: str = "", target: str = "/") -> str:
    """Return the form that asks for the password; `target` is where it leads."""
    said = f'<p role="alert">{escape(message)}</p>' if message else ""
    return f"""{_HEAD}<h1>Nightdesk</h1>
{said}
<p>Whoever runs the desk gets a link that logs in once: <code>nightdesk login</code> prints it. Or give the password,
which lies in the file <code>pages_password</code> among the desk's passwords.</p>
<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(target)}">
<label>Password <input type="password" name="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
"""


def start_page(settings: Settings, muted: Muted | None) -> str:
    """Return the page with the way to each server, and what is silenced; `None` where Alertmanager does not say."""
    links = [(f"/{upstream.server}{upstream.start}", upstream.title) for upstream in UPSTREAMS]
    items = "".join(f'<li><a href="{escape(address)}">{escape(title)}</a></li>' for address, title in links)
    return f"""{_HEAD}<h1>Nightdesk: {escape(settings.bot.name)}</h1>
<ul>{items}</ul>
<h2>What is not told</h2>
{_muted(muted)}
<form method="post" action="/logout"><button>Log out</button></form>
"""


def hop_page(target: str) -> str:
    """Return a page that leads on to where the person wanted to.

    A cookie that other sites must not use is not sent with a link that stands on one; with this page's own it is.
    """
    there = escape(target)
    return f'{_HEAD}<meta http-equiv="refresh" content="0; url={there}"><p><a href="{there}">Go on</a></p>'


def _muted(muted: Muted | None) -> str:
    if muted is None:
        return "<p>Alertmanager does not answer: what is silenced is not known.</p>"
    rows = "".join(
        _row(
            [
                shown(silence.created_by) or "nobody named",
                shown(silence.comment),
                iso(silence.ends_at),
                ", ".join(silenced_names(silence)),
            ],
            silence.id,
        )
        for silence in muted.of_critical
    )
    inhibited = "".join(f"<li>{escape(line)}</li>" for line in muted.inhibitions())
    table = "<tr><th>silenced by</th><th>why</th><th>until</th><th>critical alerts</th></tr>" + rows
    return (f"<table>{table}</table>" if rows else "<p>No critical alert is silenced.</p>") + (
        f"<ul>{inhibited}</ul>" if inhibited else ""
    )


def _row(cells: Iterable[str], silence: str) -> str:
    end = f'<form method="post" action="/silences/{escape(silence)}/end"><button>End</button></form>'
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}<td>{end}</td></tr>"
