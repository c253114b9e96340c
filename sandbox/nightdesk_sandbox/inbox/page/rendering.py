"""The page's templates: loaded once, and everything escaped in them that is not HTML made here."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from nightdesk_core.text import clean

from nightdesk_sandbox.inbox.page.text import discord_html, link, linked, paragraph, slack_html, telegram_html
from nightdesk_sandbox.inbox.slack_message import block_text, plain

_COLOUR = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NAMED_COLOURS = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}
"""What Slack calls by a name."""


def render(template: str, **values: object) -> Markup:
    """Return a template of the folder `templates` with its places filled.

    A value that is no `Markup` is escaped, and a name without a value raises `jinja2.UndefinedError`.
    """
    html = _ENVIRONMENT.get_template(template).render(values)
    return Markup(clean(html))  # noqa: S704 - escaped by the environment


def _painted(colour: str) -> str:
    """Return a colour as SVG has it, or nothing for what is not a colour."""
    found = _COLOUR.fullmatch(colour)
    return f"#{found[1]}" if found else _NAMED_COLOURS.get(colour, "")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nightdesk_sandbox.inbox.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"link": link}
    environment.filters |= {
        "block_text": block_text,
        "discord": discord_html,
        "linked": linked,
        "painted": _painted,
        "paragraph": paragraph,
        "plain": plain,
        "slack": slack_html,
        "telegram": telegram_html,
    }
    return environment


_ENVIRONMENT = _environment()
