"""Text made into HTML: escaped, links to click, and the inline markup of each service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from nightdesk_sandbox.inbox.telegram_markup import Entity, Formatted

_ADDRESS = re.compile(r"https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}*_~]")
_QUOTED = re.compile(r"^>[^\n]*\n(?!>)", re.MULTILINE)
_SLACK_TOKEN = re.compile(r"```(.+?)```|`([^`\n]+)`|<([^<>|\s]+)(?:\|([^<>]*))?>", re.DOTALL)
_SLACK_MARKS = [
    (re.compile(rf"(?<![\w{mark}])[{mark}](?=\S)([^\n]+?)(?<=\S)[{mark}](?![\w{mark}])"), rf"<{tag}>\1</{tag}>")
    for mark, tag in (("*", "strong"), ("_", "em"), ("~", "s"))
]
_KEPT = re.compile("\ue000([0-9]+)\ue001")
_TELEGRAM_TAGS = {
    "bold": "strong",
    "italic": "em",
    "underline": "u",
    "strikethrough": "s",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}


def link(address: str, html: str) -> str:
    """Return a link around `html`; only `html` where the address is not of the web."""
    if not address.startswith(("http://", "https://")):
        return html
    return f'<a href="{escape(address)}" rel="noopener noreferrer" target="_blank">{html}</a>'


def linked(text: str) -> str:
    """Return a text as HTML in which its web addresses can be clicked."""
    pieces, end = [], 0
    for found in _ADDRESS.finditer(text):
        pieces += [escape(text[end : found.start()]), link(found[0], escape(found[0]))]
        end = found.end()
    return "".join([*pieces, escape(text[end:])])


def paragraph(text: str) -> str:
    """Return a text as HTML that keeps its lines."""
    return f'<div class="text">{linked(text)}</div>' if text.strip() else ""


def discord_html(text: str) -> str:
    """Return Discord's Markdown as HTML."""
    # In Discord a quotation ends with its line.
    markdown = _QUOTED.sub(r"\g<0>\n", text)
    return f'<div class="markdown">{_DISCORD.render(markdown)}</div>' if text.strip() else ""


def _open_link(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    address = str(tokens[index].attrs.get("href", ""))
    return f'<a href="{escape(address)}" rel="noopener noreferrer" target="_blank">'


def _strong(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    # What is bold in Markdown is underlined in Discord's.
    tag = "u" if tokens[index].markup == "__" else "strong"
    return f"<{tag}>" if tokens[index].nesting > 0 else f"</{tag}>"


def _text(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    within = sum((token.type == "link_open") - (token.type == "link_close") for token in tokens[:index])
    return escape(tokens[index].content) if within else linked(tokens[index].content)


def _discord() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable("strikethrough").disable(["image", "reference", "hr", "lheading", "code", "html_block"])
    markdown.disable("html_inline")
    for name, rule in (("link_open", _open_link), ("strong_open", _strong), ("strong_close", _strong), ("text", _text)):
        markdown.add_render_rule(name, rule)
    return markdown


_DISCORD = _discord()


def slack_html(text: str) -> str:
    """Return Slack's mrkdwn as HTML."""
    if not text.strip():
        return ""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        block, code, address, label = found.groups()
        if block is not None:
            html = f"<pre>{_slack_characters(block.strip(chr(10)))}</pre>"
        elif code is not None:
            html = f"<code>{_slack_characters(code)}</code>"
        else:
            words = _slack_characters(label or address.removeprefix("mailto:"))
            html = f'<span class="mention">{words}</span>' if address[0] in "@#!" else link(address, words)
        kept.append(html)
        return f"\ue000{len(kept) - 1}\ue001"

    # What stands between private characters is ours: they are taken out of the text before.
    marked = _slack_characters(_SLACK_TOKEN.sub(keep, re.sub("[\ue000\ue001]", "", text)))
    for pattern, replacement in _SLACK_MARKS:
        marked = pattern.sub(replacement, marked)
    html = _KEPT.sub(lambda found: kept[int(found[1])], marked)
    return f'<div class="text">{html}</div>'


def _slack_characters(text: str) -> str:
    return escape(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def telegram_html(formatted: Formatted) -> str:
    """Return a text and its entities as HTML."""
    return f'<div class="text">{_within(formatted, 0, len(formatted.text), formatted.entities)}</div>'


def _within(formatted: Formatted, start: int, end: int, entities: Sequence[Entity]) -> str:
    pieces, position = [], start
    for index, entity in enumerate(entities):
        if entity.start < position:
            continue
        inner = [other for other in entities[index + 1 :] if other.start < entity.end]
        pieces.append(linked(formatted.text[position : entity.start]))
        pieces.append(_dressed(entity, _within(formatted, entity.start, entity.end, inner)))
        position = entity.end
    return "".join([*pieces, linked(formatted.text[position:end])])


def _dressed(entity: Entity, html: str) -> str:
    if entity.kind == "text_link":
        return link(entity.detail, html)
    if entity.kind == "spoiler":
        return f'<span class="spoiler" tabindex="0">{html}</span>'
    tag = _TELEGRAM_TAGS.get(entity.kind)
    return f"<{tag}>{html}</{tag}>" if tag else html
