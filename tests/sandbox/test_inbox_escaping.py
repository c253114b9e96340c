"""Whatever stands in whichever field of a message: the inbox's pages show it as text and stay as they are."""

from __future__ import annotations

import json
import re
from html import unescape
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.text import clean
from nightdesk_sandbox.inbox.message import MAIL, Message, channels
from nightdesk_sandbox.inbox.page.card import card
from nightdesk_sandbox.inbox.page.document import document, main_part

from tests.sandbox.inbox_html import ADDRESS, HARMLESS_TAGS, Tags

TAGS = HARMLESS_TAGS | {"br", "h3", "h4", "h5", "h6"}
ATTRIBUTES = frozenset(
    re.findall(
        r"[\w-]+",
        "aria-hidden aria-label aria-labelledby aria-live charset checked class content cx cy d data-last-id data-live "
        "datetime fill height href id lang loading method name nonce placeholder r rel role sandbox selected src start "
        "tabindex target title type value viewbox width",
    )
)
CLASSES = frozenset(
    re.findall(
        r"[\w-]+",
        "alerts app author bar bar-line body bot card channel chip chips choice choices critical cut dim discord email "
        "embed empty faults firing foot grow headers hidden hole icon info inline labels line live mail markdown "
        "mention name none older pill plain quiet resolved skip slack spoiler state telegram text title top warning "
        "webhook when who wide",
    )
) | frozenset(channels())

PIECES = st.one_of(
    st.sampled_from(
        [
            *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</pre></article></main>", "<!--", "]]>"),
            *(
                '" onmouseover="alert(1)',
                "' style='color:red",
                "javascript:alert(1)",
                "&lt;b&gt;",
                "&amp;",
                "&#60;i&#62;",
            ),
            *(
                "https://x.org/",
                "[x](javascript:alert(1))",
                '[x](https://x.org "t")',
                "<javascript:alert(1)|x>",
                "<!here>",
            ),
            *("**b**", "__u__", "*b*", "_i_", "~s~", "```", "`c`", "> q\n", "# h\n", "- l\n", "1. n\n", "2. \n"),
            *(
                "{{ 7 * 7 }}",
                "{% raw %}",
                "{#",
                "\ue0000\ue001",
                "\ue000",
                "<b>",
                "</b>",
                '<a href="https://x.org">',
                "</a>",
            ),
        ]
    ),
    st.text("<>\"'&`=/\\ \n\r\t!|:;#{}%", max_size=6),
    st.characters(max_codepoint=0x9F).map(str),
    st.sampled_from(["\x00", "\x0b", "\x1b[31m", "\x7f", "\x85", "\u202e", "\u2028", "\ufffe", "\U0001f4c9", "ü"]),
)
WORDS = st.lists(PIECES, min_size=1, max_size=5).map("".join)


def raws(channel: str, words: list[str]) -> list[Any]:
    """Return payloads of a channel, of all whose fields each holds one of `words`."""
    following = cycle(words)

    def fields(*names: str) -> dict[str, Any]:
        return {name: next(following) for name in names}

    link = "https://x.org/" + re.sub(r"\s", "", next(following))
    match channel:
        case "discord":
            embed = {
                **fields("title", "description"),
                "url": link,
                "color": 0xFF0080,
                "image": {"url": link},
                "fields": [fields("name", "value")],
                "footer": fields("text"),
                "author": fields("name"),
            }
            return [{**fields("username", "content"), "embeds": [embed, embed]}, {"embeds": fields("title")}]
        case "slack":
            blocks = [
                *({"type": kind, "text": fields("type", "text")} for kind in ("header", "section")),
                {"type": "section", "fields": [fields("text"), fields("text")]},
                {"type": "rich_text", "elements": [{"elements": [fields("text"), fields("url"), fields("name")]}]},
                {"type": "divider"},
                {**fields("type", "alt_text"), "title": fields("text"), "elements": [fields("text")]},
            ]
            texts = fields("fallback", "color", "pretext", "author_name", "title", "title_link", "text", "footer")
            attachment = {**texts, "fields": [{**fields("title", "value"), "short": True}], "blocks": blocks}
            said = fields("text", "channel", "username")
            linked = {**attachment, "title_link": link}
            return [{**said, "attachments": [attachment, linked]}, {**said, "blocks": blocks}]
        case "telegram":
            return [
                {**fields("text"), "chat_id": 5, "parse_mode": mode} for mode in ("", "HTML", "Markdown", "MarkdownV2")
            ]
        case "webhook":
            labels = {"alertname": next(following), next(following): next(following)}
            alert = {"labels": labels, "annotations": {"summary": next(following), next(following): next(following)}}
            alerts = [
                {**alert, **fields("startsAt", "endsAt"), "status": status, "generatorURL": url}
                for status, url in (("firing", next(following)), ("resolved", link))
            ]
            common = {"version": "4", "status": "firing", "commonLabels": fields("alertname", "bot")}
            return [{**common, **fields("receiver"), "alerts": alerts}, fields("title", "message"), words]
        case _:
            return [{"headers": fields("From", "To", "Cc", "Date"), "recipients": words, "source": next(following)}]


def messages(channel: str, words: list[str]) -> list[Message]:
    """Return messages whose every text is one of `words`, and whose labels are, too; the first has no payload."""
    title, text, to, severity, bot, html = (word for word, _ in zip(cycle(words[::-1]), range(6), strict=False))
    return [
        Message(
            id=number,
            received_at=title,
            channel=channel,
            to=to,
            title=title,
            text=text,
            alertname=title,
            severity=severity,
            status="resolved" if number % 2 else "firing",
            bot=bot,
            html=html if channel == MAIL and number else None,
            raw=raw,
        )
        for number, raw in enumerate([None, *raws(channel, words)])
    ]


def check(page: str) -> Tags:
    """Return a page's tags, once nothing is found in it that a message could have brought."""
    assert clean(page) == page
    tags = Tags(page)
    assert not tags.doubled
    assert {tag for tag, _ in tags.found} <= TAGS
    for tag, attributes in tags.found:
        assert set(attributes) <= ATTRIBUTES, tag
        classes = set((attributes.get("class") or "").split())
        assert classes <= CLASSES or all(name.startswith("language-") for name in classes - CLASSES), classes
        address = attributes.get("href") or attributes.get("src") or "#x"
        assert ADDRESS.match(address), address
    return tags


def received(message: Message) -> str:
    """Return what a card shows as the message's payload."""
    whole = isinstance(message.raw, dict) and message.channel == MAIL
    return str(message.raw["source"]) if whole else json.dumps(message.raw, indent=2, ensure_ascii=False)


@pytest.mark.parametrize("channel", channels())
@settings(max_examples=60)
@given(words=st.lists(WORDS, min_size=1, max_size=12))
def test_nothing_of_a_message_is_anything_but_text(channel: str, words: list[str]) -> None:
    for message in messages(channel, words):
        page = card(message)
        tags = [tag for tag, _ in check(page).found]
        assert tags.count("article") == 1
        assert not {"script", "style", "form", "input", "button", "meta"} & set(tags)
        payloads = re.findall(r"</summary>\s*<pre>([^<]*)</pre>\s*<p class=\"foot\"><a href=\"api", page)
        assert [unescape(payload) for payload in payloads] == [clean(received(message))]


@settings(max_examples=30)
@given(words=st.lists(WORDS, min_size=1, max_size=4))
def test_nothing_that_is_asked_for_or_fails_is_anything_but_text(words: list[str]) -> None:
    labels = dict(zip(("contains", "bot", "channel", "severity", "status"), cycle(words), strict=False))
    main = main_part(messages("webhook", words)[:2], labels=labels, last_id=7, older=True, live=True)
    page = document(main, labels=labels, status={"messages": 1, "faults": words}, nonce="once")
    found = check(page).found
    assert [tag for tag, _ in found if tag in ("script", "style")] == ["style", "script"]
    values = {attributes.get("name"): attributes.get("value") for tag, attributes in found if tag == "input"}
    assert values["contains"] == clean(labels["contains"])
    assert values.get("bot", "") == clean(labels["bot"])
