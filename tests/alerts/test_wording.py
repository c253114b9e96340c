"""A message reads the same whether Alertmanager sends it or the bot: the templates, run by amtool, are the measure."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from nightdesk.stack.tools import Tools
from nightdesk_alerts import Mail
from nightdesk_alerts.alert import Notification, SentAlert, new_alert
from nightdesk_alerts.channels.discord import DiscordChannel
from nightdesk_alerts.channels.mail import letter
from nightdesk_alerts.channels.slack import SlackChannel
from nightdesk_alerts.channels.telegram import TelegramChannel
from nightdesk_alerts.delivery.web import Web
from nightdesk_alerts.delivery.web_response import WebResponse
from nightdesk_core.text import clean
from nightdesk_sandbox.inbox.discord_message import DiscordMessage
from nightdesk_sandbox.inbox.page.text import discord_html

from tests.alertmanager.test_templates import alert as template_alert
from tests.alertmanager.test_templates import rendered
from tests.alerts.conftest import PAUSED, TOKEN, ServedInbox, StartSender, only

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
UNTIL = datetime(2026, 1, 2, 4, 0, 0, tzinfo=UTC).timestamp()
DESCRIPTION = "5 < 6 & so on; «ü» " + "x" * 300


class Recorder(Web):
    """Keeps what would be posted."""

    def __init__(self) -> None:
        super().__init__(timeout_seconds=1)
        self.posted: Any = None

    def post(self, url: str, payload: Any) -> WebResponse:
        self.posted = payload
        return WebResponse(200, {}, b"ok")


def notification(status: str) -> Notification:
    """Return the alert of the templates' tests as the bot has it."""
    labels = {"alertname": "TradebotDown", "severity": "critical", "bot": "btc", "symbol": "BTC/USDT:USDT"}
    alert = SentAlert(
        labels=labels,
        summary="The bot does not answer.",
        description=DESCRIPTION,
        starts_at=SINCE,
        ends_at=UNTIL,
        lasting=True,
    )
    return Notification(alert, "resolved" if status == "resolved" else "firing", UNTIL)


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_the_bot_s_words_are_the_templates(status: str, tools: Tools, tmp_path: Path) -> None:
    theirs = template_alert("btc", status=status, description=DESCRIPTION, symbol="BTC/USDT:USDT")
    ours, web = notification(status), Recorder()
    title = rendered(tools, tmp_path, "title", theirs)

    DiscordChannel(webhook_url="").deliver(ours, web)
    embed = web.posted["embeds"][0]
    assert embed["title"] == rendered(tools, tmp_path, "discord.title", theirs)
    assert embed["description"] == rendered(tools, tmp_path, "discord.message", theirs)

    SlackChannel(webhook_url="").deliver(ours, web)
    attachment = web.posted["attachments"][0]
    assert attachment["title"] == rendered(tools, tmp_path, "slack.title", theirs)
    assert attachment["text"] == rendered(tools, tmp_path, "slack.message", theirs)

    TelegramChannel(bot_token="", chat_id="").deliver(ours, web)
    html = rendered(tools, tmp_path, "telegram.message", theirs, kind="html")
    assert unescape(web.posted["text"]) == unescape(html)
    assert "<b>CRITICAL" in html or "<b>Resolved" in html

    mail = letter(ours, Mail(server="x", recipients=("a@b.c",)))
    assert mail["Subject"] == title
    assert mail.get_content().strip() == rendered(tools, tmp_path, "email.text", theirs).strip()


def test_slack_s_own_characters_are_written_out_in_the_template(tools: Tools, tmp_path: Path) -> None:
    theirs = template_alert("<b>", description="<!channel> & <@U1>")
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in rendered(tools, tmp_path, "slack.message", theirs)
    assert rendered(tools, tmp_path, "slack.title", theirs) == "CRITICAL: TradebotDown (&lt;b&gt;)"


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_fleet_is_five_alerts_and_a_count_within_telegram_s_limit(status: str, tools: Tools, tmp_path: Path) -> None:
    fleet = [
        template_alert(f"{number:02}-" + "b" * 60, status=status, description="it's " * 100, symbol="S" * 20)
        for number in range(25)
    ]
    message = rendered(tools, tmp_path, "telegram.message", *fleet, kind="html")
    assert message.count("<b>The bot does not answer.</b>") == 5
    assert "+20 more\n" in message
    assert len(message) <= 4096
    assert len(rendered(tools, tmp_path, "slack.message", *fleet)) <= 40_000


MARKDOWN = "[free money](https://evil.example) **b** __u__ ~~s~~ ||x|| `c` @everyone <@1> <#2> # h > q my_bot a\\b"


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_discord_s_markdown_is_written_out_whoever_sends(status: str, tools: Tools, tmp_path: Path) -> None:
    theirs = template_alert(MARKDOWN, status=status, description=f"# {MARKDOWN}\n> {MARKDOWN}", symbol=MARKDOWN)
    theirs["labels"]["alertname"] = MARKDOWN
    theirs["annotations"] |= {"summary": MARKDOWN, "runbook_url": ""}
    labels = {"alertname": MARKDOWN, "severity": "critical", "bot": MARKDOWN, "symbol": MARKDOWN}
    words = {"summary": MARKDOWN, "description": f"# {MARKDOWN}\n> {MARKDOWN}"}
    alert = new_alert(labels, **words, lasting=True, starts_at=SINCE)
    web = Recorder()
    DiscordChannel(webhook_url="").deliver(
        Notification(alert, "resolved" if status == "resolved" else "firing", 0), web
    )
    embed = web.posted["embeds"][0]
    assert embed["title"] == rendered(tools, tmp_path, "discord.title", theirs)
    assert embed["description"].strip() == rendered(tools, tmp_path, "discord.message", theirs).strip()
    assert len(embed["title"]) <= 256
    html = str(discord_html(embed["description"]))
    assert html.count("<strong>") == 1  # the summary, by ourselves
    assert re.findall("<(u|s|em|code|h1|blockquote)>", html) == []
    assert re.findall(">free money<", html) == []
    read = DiscordMessage.model_validate({"embeds": [embed]})
    assert MARKDOWN[:50] in read.title
    assert "@everyone <@1>" in read.text


def test_the_longest_names_stay_below_discord_s_256_characters(tools: Tools, tmp_path: Path) -> None:
    fleet = [template_alert("_" * 200) for _ in range(30)]
    for one in fleet:
        one["labels"]["alertname"] = "*" * 200
    assert 200 < len(rendered(tools, tmp_path, "discord.title", *fleet)) <= 256


@pytest.mark.parametrize("channel", ["discord", "slack", "telegram", "webhook"])
def test_no_path_shows_in_what_urllib3_logs(
    channel: str, inbox: ServedInbox, start: StartSender, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        start(only(inbox, channel)).send_alert("X", **PAUSED)
        inbox.arrived(channel)
    assert TOKEN not in caplog.text


HOSTILE = (
    "[/boom] \x1b]0;owned\x07 \x9b31m BTC\u202eTSU ad\u200bmin \u2028next\x85 \x7f\r\nBcc: all@example.org\r\n"
    "\r\n<script>"
)


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_what_is_obeyed_or_not_seen_reaches_no_channel_whoever_sends(status: str, tools: Tools, tmp_path: Path) -> None:
    theirs = template_alert(HOSTILE, status=status, description=HOSTILE, symbol=HOSTILE)
    theirs["annotations"]["summary"] = HOSTILE
    theirs["labels"]["alertname"] = HOSTILE
    labels = {"alertname": HOSTILE, "severity": "critical", "bot": HOSTILE, "symbol": HOSTILE}
    ours = Notification(
        new_alert(labels, summary=HOSTILE, description=HOSTILE, lasting=True, starts_at=SINCE),
        "resolved" if status == "resolved" else "firing",
        UNTIL,
    )
    web = Recorder()
    posted = []
    for channel in (
        DiscordChannel(webhook_url=""),
        SlackChannel(webhook_url=""),
        TelegramChannel(bot_token="", chat_id=""),
    ):
        channel.deliver(ours, web)
        posted.append(json.dumps(web.posted, ensure_ascii=False))
    mail = letter(ours, Mail(server="x", recipients=("a@b.c",)))
    assert "Bcc" not in mail
    said = [
        *posted,
        mail["Subject"],
        mail.get_content(),
        *(
            rendered(tools, tmp_path, template, theirs, kind=kind)
            for template, kind in (
                ("title", "text"),
                ("discord.message", "text"),
                ("slack.title", "text"),
                ("slack.message", "text"),
                ("telegram.message", "html"),
                ("email.text", "text"),
                ("email.html", "html"),
            )
        ),
    ]
    for text in said:
        assert clean(text) == text
        assert "[/boom] \ufffd]0;owned\ufffd" in re.sub(r"\\+([\[\]])", r"\1", text)
    assert "\n" not in rendered(tools, tmp_path, "title", theirs)
    assert "<script>" not in rendered(tools, tmp_path, "email.html", theirs, kind="html")


def test_the_templates_replace_the_characters_that_the_bot_does(tools: Tools, tmp_path: Path) -> None:
    codes = (code for code in range(1, 0xE1000) if not 0xD800 <= code < 0xE000)
    # What is no character at all cannot be in a label: Prometheus and Alertmanager take UTF-8.
    letters = [chr(code) for code in codes if clean(chr(code)) == "\ufffd" and unicodedata.category(chr(code)) != "Cn"]
    assert len(letters) > 300
    theirs = template_alert("btc", description="x")
    labels = {f"label_{number}": "".join(letters[number : number + 70]) for number in range(0, len(letters), 70)}
    theirs["labels"] |= labels
    text = rendered(tools, tmp_path, "email.text", theirs)
    assert clean(text) == text
    for name, value in labels.items():
        assert f"  {name}: " + "\ufffd" * len(value) + "\n" in text
