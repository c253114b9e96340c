"""A message as Discord shows it: who, what, and embeds with a bar of their colour."""

from __future__ import annotations

from html import escape

from nightdesk_sandbox.inbox.discord_message import DiscordMessage, Embed
from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.bar import bar
from nightdesk_sandbox.inbox.page.text import discord_html, link


def discord_body(message: Message) -> str:
    """Return the message's HTML. Raises `ValidationError` where it is not Discord's."""
    said = DiscordMessage.model_validate(message.raw)
    name = escape(said.username or "Alerts")
    embeds = "".join(_embed(embed) for embed in said.embeds)
    return f'<p class="who">{name} <span class="app">APP</span></p>{discord_html(said.content or "")}{embeds}'


def _embed(embed: Embed) -> str:
    colour = f"#{embed.color:06x}" if embed.color is not None else ""
    author = f'<p class="author">{escape(embed.author.name)}</p>' if embed.author and embed.author.name else ""
    title = f'<p class="title">{link(embed.url or "", escape(embed.title))}</p>' if embed.title else ""
    fields = "".join(
        f'<div class="{"inline" if field.inline else "wide"}"><dt>{escape(field.name)}</dt>'
        f"<dd>{discord_html(field.value)}</dd></div>"
        for field in embed.fields
    )
    pictures = "".join(
        f'<p class="dim">Picture: {link(picture.url, escape(picture.url))}</p>'
        for picture in (embed.thumbnail, embed.image)
        if picture
    )
    when = f"{embed.timestamp:%Y-%m-%d %H:%M}" if embed.timestamp else ""
    foot = " · ".join(escape(part) for part in (embed.footer.text if embed.footer else "", when) if part)
    return (
        f'<div class="embed">{bar(colour)}<div>{author}{title}{discord_html(embed.description or "")}'
        + (f"<dl>{fields}</dl>" if fields else "")
        + pictures
        + (f'<p class="foot">{foot}</p>' if foot else "")
        + "</div></div>"
    )
