"""What the inbox's page makes of each service's message."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import UndefinedError
from nightdesk_sandbox.inbox.message import Message
from nightdesk_sandbox.inbox.page.card import card
from nightdesk_sandbox.inbox.page.rendering import render
from nightdesk_sandbox.inbox.page.text import discord_html, linked, slack_html, telegram_html
from nightdesk_sandbox.inbox.telegram_message import formatted


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**b** *i* __u__ ~~s~~ `c`", "<strong>b</strong> <em>i</em> <u>u</u> <s>s</s> <code>c</code>"),
        ("> quoted\nnot", "<blockquote>\n<p>quoted</p>\n</blockquote>\n<p>not</p>"),
        ("<b>no</b> ![x](https://x.org/y)", '&lt;b&gt;no&lt;/b&gt; !<a href="https://x.org/y"'),
        (
            "at https://x.org/a.",
            '<a href="https://x.org/a" rel="noopener noreferrer" target="_blank">https://x.org/a</a>.',
        ),
        ("[x](https://x.org)", '<a href="https://x.org" rel="noopener noreferrer" target="_blank">x</a>'),
    ],
)
def test_discords_markdown_is_shown(text: str, html: str) -> None:
    assert html in discord_html(text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*b* _i_ ~s~ `a*b*`", "<strong>b</strong> <em>i</em> <s>s</s> <code>a*b*</code>"),
        ("2 * 3 * 4 a_b_c", "2 * 3 * 4 a_b_c"),
        ("1 &lt; 2 &amp; <b>", "1 &lt; 2 &amp; b</div>"),
        ("<https://x.org|the *x*>", '<a href="https://x.org" rel="noopener noreferrer" target="_blank">the *x*</a>'),
        ("<!here> <javascript:x|y>", '<span class="mention">!here</span> y'),
        ("```\na < b\n```", "<pre>a &lt; b</pre>"),
        ("\ue0000\ue001", '<div class="text">0</div>'),
    ],
)
def test_slacks_markup_is_shown(text: str, html: str) -> None:
    assert html in slack_html(text)


def test_telegrams_entities_are_shown_within_each_other() -> None:
    text = '<b>a <i>b</i></b> <a href="https://x.org">c</a> <pre>5 &lt; 6</pre>'
    assert telegram_html(formatted(text, "HTML")) == (
        '<div class="text"><strong>a <em>b</em></strong> '
        '<a href="https://x.org" rel="noopener noreferrer" target="_blank">c</a> <pre>5 &lt; 6</pre></div>'
    )


@pytest.mark.parametrize("mode", ["Markdown", "MarkdownV2"])
def test_telegrams_markdown_is_shown_as_it_came_and_called_so(mode: str) -> None:
    shown = card(message(channel="telegram", raw={"text": r"*b* a\_b <b>", "parse_mode": mode}))
    assert '<p class="dim">Markdown, shown as it came</p>' in shown
    assert r'<div class="text">*b* a\_b &lt;b&gt;</div>' in shown
    plain = card(message(channel="telegram", raw={"text": r"*b* a\_b <b>"}))
    assert "as it came" not in plain


def test_only_addresses_of_the_web_can_be_clicked() -> None:
    assert linked("javascript:alert(1) ftp://x") == "javascript:alert(1) ftp://x"


def message(**changes: Any) -> Message:
    plain = {
        "id": 7,
        "received_at": "2026-01-01T00:00:00Z",
        "channel": "discord",
        "title": "t",
        "text": "words",
        "alertname": None,
        "severity": None,
        "status": None,
        "raw": {},
    }
    return Message.model_validate({**plain, **changes})


def test_an_embed_has_a_bar_of_its_colour() -> None:
    shown = card(message(raw={"embeds": [{"title": "t", "color": 0xFF0080, "timestamp": "2026-01-01T10:00:00Z"}]}))
    assert '<rect width="100%" height="100%" fill="#ff0080"/>' in shown
    assert '<p class="foot">2026-01-01 10:00</p>' in shown


@pytest.mark.parametrize(("colour", "fill"), [("good", "#2eb67d"), ("#FF0080", "#FF0080"), ('"/><script>', None)])
def test_an_attachment_has_a_bar_of_its_colour_or_none(colour: str, fill: str | None) -> None:
    shown = card(message(channel="slack", raw={"attachments": [{"text": "x", "color": colour}]}))
    painted = f'height="100%" fill="{fill}"/>' if fill else 'height="100%"/>'
    assert painted in shown


@pytest.mark.parametrize(
    ("labels", "tone"),
    [
        ({"severity": "critical", "status": "firing"}, "critical"),
        ({"severity": "critical", "status": "resolved"}, "resolved"),
        ({"severity": "page"}, "none"),
        ({}, "none"),
    ],
)
def test_a_card_has_the_colour_of_what_it_is_about(labels: dict[str, str], tone: str) -> None:
    assert card(message(**labels)).startswith(f'<article class="card {tone}" ')


@pytest.mark.parametrize(("alerts", "truncated", "hidden"), [(1, 0, None), (1, 3, 3), (53, 0, 3), (53, 3, 6)])
def test_alerts_that_are_not_shown_are_counted(alerts: int, truncated: int, hidden: int | None) -> None:
    alert = {"status": "firing", "labels": {}}
    raw = {"version": "4", "status": "firing", "alerts": [alert] * alerts, "truncatedAlerts": truncated}
    found = re.findall(r'<p class="dim">and (\d+) more</p>', card(message(channel="webhook", raw=raw)))
    assert found == ([] if hidden is None else [str(hidden)])


def test_a_template_that_names_what_it_is_not_given_is_a_failure_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        render("words.html", title="t")


@pytest.mark.parametrize("channel", ["discord", "slack", "telegram", "webhook", "email"])
@pytest.mark.parametrize("raw", [None, [], "x", {"embeds": 5, "text": 5, "headers": 5, "attachments": 5}])
def test_a_message_that_was_kept_in_another_form_is_shown_by_its_words(channel: str, raw: Any) -> None:
    shown = card(message(channel=channel, raw=raw))
    assert "words" in shown or channel == "webhook"
    assert "<details><summary>Raw payload</summary>\n    <pre>" in shown
