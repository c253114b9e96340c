"""Whether the bot runs, and whether it hears the market."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightdesk_core.clock import WallTime

from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.parts import Fact, bad, card, facts, note, table
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import UNKNOWN, age, date, lasting, moment, said


def bot_card(view: View) -> Html:
    """Return the bot's section."""
    bot, now = view.status["bot"], view.now
    rows = [
        ("Last turn of the loop", age(bot["heartbeat_at"], now=now)),
        *_progress(bot, now),
        *_contacts(bot["exchange_contact_at"], now),
        *([("Market time", date(bot["market_time"]))] if "market_time" in bot else []),
        ("Started", age(bot["started_at"], now=now)),
    ]
    return card("bot", "Bot", facts(rows, of="bot") + _candles(bot, now))


def _progress(bot: Mapping[str, Any], now: WallTime) -> list[Fact]:
    """Return what is said of candles and decisions, of which a bot may have none."""
    rows: list[Fact] = []
    if "candles" in bot:
        rows.append(("Last candle", age(bot["last_candle_received_at"], now=now)))
    if "last_decision_at" in bot:
        rows.append(("Last decision", age(max(filter(None, bot["last_decision_at"].values()), default=None), now=now)))
    if "candles" in bot or bot["websocket_connected"] is not None:
        rows.append(("Candle stream", _stream(bot, now)))
    return rows


def _stream(bot: Mapping[str, Any], now: WallTime) -> Html:
    if bot["websocket_connected"] is None:
        return UNKNOWN
    state = Html("connected") if bot["websocket_connected"] else bad("broken")
    changed = moment(bot["websocket_changed_at"])
    return state + (note(lasting(bot["websocket_changed_at"], now=now)) if changed else NOTHING)


def _contacts(contacts: Mapping[str, Any], now: WallTime) -> list[Fact]:
    names = {"rest": "requests", "ws": "stream"}
    if not contacts:
        return [("Exchange answered", UNKNOWN)]
    return [
        (f"Exchange answered ({names.get(channel, channel)})", age(at, now=now))
        for channel, at in sorted(contacts.items())
    ]


def _candles(bot: Mapping[str, Any], now: WallTime) -> Html:
    decided = bot.get("last_decision_at")
    candles = sorted(bot.get("candles", ()), key=lambda candle: (candle["symbol"], candle["timeframe"]))
    rows = [
        (
            Html("{} {}").format(said(candle["symbol"]), note(said(candle["timeframe"]))),
            age(candle["received_at"], now=now),
            *(() if decided is None else (age(decided.get(candle["symbol"]), now=now),)),
        )
        for candle in candles
    ]
    columns = ("Symbol", "Candle", *(() if decided is None else ("Decision",)))
    return table("candles", "Candles by symbol", columns, rows) if rows else NOTHING
