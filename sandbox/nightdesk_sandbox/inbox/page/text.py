"""Text made into HTML: escaped, links to click, and the inline markup of each service."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from nightdesk_sandbox.inbox.telegram_markup import Entity, Formatted

_ADDRESS = re.compile(r"https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}*_~]")
_QUOTED = re.compile(r"^>[^\n]*\n(?!>)", re.MULTILINE)
_SLACK_TOKEN = re.compile(r"```(.+?)```|`([^`\n]+)`|<([^<>|\s]+)(?:\|([^<>]*))?>", re.DOTALL)
_SLACK_MARKS = [
    (re.compile(rf"(?<![\w{mark}])[{mark}](?=\S)([^\n]+?)(?<=\S)[{mark}](?![\w{mark}])"), rf"<{tag}>\1</{tag}>")
    for mark, tag in (("*", "strong"), ("_", "em"), ("~", "s"))
]
_KEPT = re.compile("\ue000([0-9]+)\ue001")
_LINK = Markup('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>')
_PARAGRAPH = Markup('<div class="text">{}</div>')
_TELEGRAM_TAGS = {
    "bold": "strong",
    "italic": "em",
    "underline": "u",
    "strikethrough": "s",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}


def link(address: str, words: str) -> Markup:
    """Return a link around `words`; only the words where the address is not of the web."""
    return _LINK.format(address, words) if address.startswith(("http://", "https://")) else escape(words)


def linked(text: str) -> Markup:
    """Return a text as HTML in which its web addresses can be clicked."""
    pieces, end = [], 0
    for found in _ADDRESS.finditer(text):
        pieces += [text[end : found.start()], link(found[0], found[0])]
        end = found.end()
    return Markup("").join([*pieces, text[end:]])


def paragraph(text: str) -> Markup:
    """Return a text as HTML that keeps its lines."""
    return _PARAGRAPH.format(linked(text)) if text.strip() else Markup("")


def discord_html(text: str) -> Markup:
    """Return Discord's Markdown as HTML."""
    if not text.strip():
        return Markup("")
    # In Discord a quotation ends with its line.
    html = _DISCORD.render(_QUOTED.sub(r"\g<0>\n", text))
    return Markup('<div class="markdown">{}</div>').format(Markup(html))  # noqa: S704 - escaped by the renderer


def _open_link(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    address = str(tokens[index].attrs.get("href", ""))
    return f'<a href="{escape(address)}" rel="noopener noreferrer" target="_blank">'


def _strong(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    # What is bold in Markdown is underlined in Discord's.
    tag = "u" if tokens[index].markup == "__" else "strong"
    return f"<{tag}>" if tokens[index].nesting > 0 else f"</{tag}>"


def _text(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    within = sum((token.type == "link_open") - (token.type == "link_close") for token in tokens[:index])
    # The renderer adds up plain strings: added to one, `Markup` would escape what stands before it once more.
    return str(escape(tokens[index].content) if within else linked(tokens[index].content))


def _discord() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable("strikethrough").disable(["image", "reference", "hr", "lheading", "code", "html_block"])
    markdown.disable("html_inline")
    for name, rule in (("link_open", _open_link), ("strong_open", _strong), ("strong_close", _strong), ("text", _text)):
        markdown.add_render_rule(name, rule)
    return markdown


_DISCORD = _discord()


def slack_html(text: str) -> Markup:
    """Return Slack's mrkdwn as HTML."""
    if not text.strip():
        return Markup("")
    kept: list[Markup] = []

    def keep(found: re.Match[str]) -> str:
        block, code, address, label = found.groups()
        if block is not None:
            html = Markup("<pre>{}</pre>").format(_slack_characters(block.strip("\n")))
        elif code is not None:
            html = Markup("<code>{}</code>").format(_slack_characters(code))
        else:
            words = _slack_characters(label or address.removeprefix("mailto:"))
            mention = address[0] in "@#!"
            html = Markup('<span class="mention">{}</span>').format(words) if mention else link(address, words)
        kept.append(html)
        return f"\ue000{len(kept) - 1}\ue001"

    # What stands between private characters is ours: they are taken out of the text before.
    marked = str(escape(_slack_characters(_SLACK_TOKEN.sub(keep, re.sub("[\ue000\ue001]", "", text)))))
    for pattern, replacement in _SLACK_MARKS:
        marked = pattern.sub(replacement, marked)
    html = _KEPT.sub(lambda found: kept[int(found[1])], marked)
    return _PARAGRAPH.format(Markup(html))  # noqa: S704 - escaped above, before the marks became tags


def _slack_characters(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def telegram_html(formatted: Formatted) -> Markup:
    """Return a text and its entities as HTML."""
    return _PARAGRAPH.format(_within(formatted, 0, len(formatted.text), formatted.entities))


def _within(formatted: Formatted, start: int, end: int, entities: Sequence[Entity]) -> Markup:
    pieces, position = [], start
    for index, entity in enumerate(entities):
        if entity.start < position:
            continue
        inner = [other for other in entities[index + 1 :] if other.start < entity.end]
        pieces.append(linked(formatted.text[position : entity.start]))
        pieces.append(_dressed(entity, _within(formatted, entity.start, entity.end, inner)))
        position = entity.end
    return Markup("").join([*pieces, linked(formatted.text[position:end])])


def _dressed(entity: Entity, html: Markup) -> Markup:
    if entity.kind == "text_link":
        return link(entity.detail, html)
    if entity.kind == "spoiler":
        return Markup('<span class="spoiler" tabindex="0">{}</span>').format(html)
    tag = _TELEGRAM_TAGS.get(entity.kind)
    return Markup("<{0}>{1}</{0}>").format(tag, html) if tag else html
