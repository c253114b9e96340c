"""The inbox as anybody's webhook, and what it knows of Alertmanager's."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from nightdesk_sandbox.server import InboxHandle


def alertmanager(**changes: Any) -> dict[str, Any]:
    firing = {
        "status": "firing",
        "labels": {"alertname": "CandleStale", "bot": "btc", "severity": "critical", "symbol": "BTC/USDT"},
        "annotations": {"summary": "It is stale.", "description": "5 > 2"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "0123",
    }
    return {
        "version": "4",
        "status": "firing",
        "receiver": "ops",
        "groupKey": "{}",
        "commonLabels": {"alertname": "CandleStale", "bot": "btc", "severity": "critical"},
        "alerts": [firing, {**firing, "status": "resolved"}],
        **changes,
    }


async def test_alertmanagers_alerts_are_read_with_their_labels(inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{inbox.url}/webhook/ops", json=alertmanager()) as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True, "id": 1})
    [message] = inbox.inbox.find(channel="webhook")
    assert (message.title, message.to) == ("[FIRING:1] CandleStale (btc)", "ops")
    assert message.text.startswith(
        "CandleStale firing\nIt is stale.\n5 > 2\nbot=btc, severity=critical, symbol=BTC/USDT\n\nCandleStale resolved\n"
    )
    labels = (message.alertname, message.severity, message.status, message.bot)
    assert labels == ("CandleStale", "critical", "firing", "btc")
    assert message.raw == alertmanager()


@pytest.mark.parametrize(
    ("body", "title", "text"),
    [
        ({"title": "Heartbeat", "message": "All is well."}, "Heartbeat", "All is well."),
        ({"value": 5}, "other", '{"value": 5}'),
        ([1, 2], "other", "[1, 2]"),
        ("words", "other", '"words"'),
        (alertmanager(version="5"), "other", None),
        (alertmanager(alerts=[]), "other", None),
    ],
)
async def test_any_other_json_is_taken_as_it_is(
    body: Any, title: str, text: str | None, inbox: InboxHandle, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{inbox.url}/webhook/other", json=body) as answer:
        assert answer.status == 200
    [message] = inbox.inbox.find()
    assert (message.title, message.raw) == (title, body)
    assert text in (None, message.text)


@pytest.mark.parametrize("body", [b"", b"{", b"status=firing", b"\xff"])
async def test_what_is_not_json_is_refused(body: bytes, inbox: InboxHandle, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{inbox.url}/webhook/ops", data=body) as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "the body is not JSON"})
    assert inbox.inbox.find() == []
