"""The inbox's page: every message as its service shows it, live, and with nothing that could be run."""

from __future__ import annotations

import json
import re
from typing import Any

import aiohttp
from markupsafe import escape
from nightdesk_sandbox.inbox.page.card import card
from nightdesk_sandbox.inbox.page.handlers import SHOWN
from nightdesk_sandbox.server import InboxHandle

from tests.sandbox.inbox_html import ADDRESS, HARMLESS_TAGS, Tags

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&[x](javascript:alert(1)) <javascript:alert(1)|x>"


async def send_evil(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    """Put into the inbox, by each channel, a message all of whose words are dangerous."""
    alert = {"status": "firing", "labels": {EVIL: EVIL}, "annotations": {EVIL: EVIL}, "generatorURL": "javascript:x"}
    notification: dict[str, Any] = {"version": "4", "status": "firing", "receiver": EVIL, "alerts": [alert]}
    notification["commonLabels"] = {"bot": EVIL}
    field = {"name": EVIL, "value": EVIL, "title": EVIL}
    attachment = {
        **dict.fromkeys(("title", "title_link", "text", "pretext", "footer", "author_name", "color", "fallback"), EVIL),
        "fields": [field],
    }
    embed = {"title": EVIL, "description": EVIL, "fields": [field], "footer": {"text": EVIL}, "author": {"name": EVIL}}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/api/webhooks/1/t", {"username": EVIL[:80], "content": EVIL, "embeds": [embed]}),
        ("/services/T1/B1/t", {"channel": EVIL, "username": EVIL, "text": EVIL, "attachments": [attachment]}),
        ("/services/T1/B1/t", {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": EVIL}}]}),
        ("/bot1:t/sendMessage", {"chat_id": 5, "text": EVIL}),
        ("/bot1:t/sendMessage", {"chat_id": 5, "parse_mode": "HTML", "text": '<a href="javascript:x">x</a>'}),
        ("/webhook/ops", notification),
        ("/webhook/ops", {"title": EVIL, "message": EVIL}),
    ]
    for path, body in calls:
        async with http.post(inbox.url + path, json=body) as answer:
            assert answer.status < 300, await answer.text()
    raw = {"headers": {"From": EVIL, "To": EVIL}, "recipients": [EVIL], "source": EVIL}
    inbox.inbox.add("email", title=EVIL, text=EVIL, html=EVIL, raw=raw, to=EVIL, labels=dict.fromkeys(LABELS))
    inbox.inbox.add(
        "discord",
        title=EVIL,
        text=EVIL,
        raw={"embeds": EVIL},
        labels=dict.fromkeys(LABELS, EVIL[:9]) | {"status": None},
    )


LABELS = ("alertname", "severity", "status", "bot")


async def test_nothing_that_anybody_sends_is_run_or_loaded(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    await send_evil(inbox, http)
    async with http.get(inbox.url) as answer:
        page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    found = Tags(page).found
    assert len(inbox.inbox.find()) == page.count("<article") == 9
    assert page.count(escape(EVIL)) > 20
    assert {tag for tag, _ in found} <= HARMLESS_TAGS
    assert [tag for tag, _ in found].count("script") == 1
    assert not [name for _, attributes in found for name in attributes if name.startswith("on") or name == "style"]
    addresses = [attributes.get("href") or attributes.get("src") or "#x" for _, attributes in found]
    assert [address for address in addresses if not ADDRESS.match(address)] == []
    frames = [attributes for tag, attributes in found if tag == "iframe"]
    assert [frame["sandbox"] for frame in frames] == ["allow-popups allow-popups-to-escape-sandbox"]
    nonce = re.search(r'<script nonce="([\w-]{20,})"', page)
    assert nonce is not None
    assert policy == (
        f"default-src 'none'; style-src 'nonce-{nonce[1]}'; script-src 'nonce-{nonce[1]}'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    async with http.get(inbox.url) as answer:
        assert nonce[1] not in await answer.text()


async def test_a_mails_html_comes_with_a_policy_that_forbids_all_but_its_looks(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    inbox.inbox.add("email", title="", text="", html="<p style='color:red'>x</p><script>alert(1)</script>", raw={})
    inbox.inbox.add("discord", title="", text="", raw={})
    async with http.get(f"{inbox.url}/mail/1") as answer:
        assert "<p style='color:red'>x</p>" in await answer.text()
        assert answer.headers["Content-Security-Policy"] == (
            "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for absent in (2, 3):
        async with http.get(f"{inbox.url}/mail/{absent}") as answer:
            assert answer.status == 404


async def test_the_page_shows_the_newest_first_and_only_what_is_asked_for(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.get(inbox.url) as answer:
        assert "Nothing here yet" in await answer.text()
    for title in ("CRITICAL: BotDown (btc)", "Warning: ModelStale (eth)"):
        inbox.inbox.add("discord", title=title, text="", raw={})
    async with http.get(inbox.url) as answer:
        page = await answer.text()
    assert re.findall(r'<article class="card (\w+)" id="message-(\d)"', page) == [("warning", "2"), ("critical", "1")]
    async with http.get(f"{inbox.url}/?severity=critical&contains=down") as answer:
        page = await answer.text()
    assert re.findall(r'id="message-(\d)"', page) == ["1"]
    assert "<option selected>critical</option>" in page
    assert 'name="contains" placeholder="Search the text" value="down"' in page


async def test_older_messages_have_pages_of_their_own(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    for number in range(SHOWN + 3):
        inbox.inbox.add("slack", title=f"number {number}", text="", raw={})
    async with http.get(f"{inbox.url}/?channel=slack") as answer:
        page = await answer.text()
    assert page.count("<article") == SHOWN
    assert '<a href="?channel=slack&amp;before=4">Older messages</a>' in page
    async with http.get(f"{inbox.url}/cards?channel=slack&before=4") as answer:
        part = await answer.text()
    assert re.findall(r'id="message-(\d+)"', part) == ["3", "2", "1"]
    assert part.startswith('<main id="messages" tabindex="-1" data-last-id="103" data-live="no">')


async def events(answer: aiohttp.ClientResponse, count: int) -> list[tuple[str, Any]]:
    """Return the next server-sent events, each with its name and its data."""
    found: list[tuple[str, Any]] = []
    while len(found) < count:
        block = (await answer.content.readuntil(b"\n\n")).decode()
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def test_what_comes_while_somebody_looks_is_sent_to_the_page(
    inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    inbox.inbox.add("slack", title="seen", text="", raw={})
    async with http.get(f"{inbox.url}/live?since_id=1&channel=slack") as answer:
        assert answer.content_type == "text/event-stream"
        assert await events(answer, 1) == [("status", {"messages": 1, "faults": []})]
        inbox.inbox.add("discord", title="of another channel", text="", raw={})
        assert await events(answer, 1) == [("status", {"messages": 2, "faults": []})]
        new = inbox.inbox.add("slack", title="new", text="", raw={})
        assert await events(answer, 2) == [
            ("message", {"id": 3, "html": card(new)}),
            ("status", {"messages": 3, "faults": []}),
        ]
        await http.post(f"{inbox.url}/sandbox/fault", json={"name": "slow", "seconds": 60})
        assert await events(answer, 1) == [("status", {"messages": 3, "faults": ["slow:any"]})]
        inbox.inbox.clear()
        inbox.inbox.add("slack", title="after", text="", raw={})
        assert [name for name, _ in await events(answer, 3)] == ["cleared", "message", "status"]


async def test_a_page_that_was_cut_off_is_sent_what_it_missed(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    for title in ("first", "second", "third"):
        inbox.inbox.add("slack", title=title, text="", raw={})
    async with http.get(f"{inbox.url}/live?since_id=0", headers={"Last-Event-ID": "2"}) as answer:
        assert [data["id"] for name, data in await events(answer, 1) if name == "message"] == [3]
