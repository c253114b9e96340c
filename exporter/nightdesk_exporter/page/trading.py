"""Whether the bot may trade, what it holds, and when it last traded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nightdesk_core.clock import WallTime

from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.parts import MOST_UNFOLDED, Fact, bad, card, facts, note, table
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import UNKNOWN, age, lasting, number, said, share, term

_HELD_BACK = ("reduced", "paused")


def trading_card(view: View) -> Html:
    """Return trading's section."""
    trading, risk, now = view.status["trading"], view.status["risk"], view.now
    rows = [
        ("Performance guard", _guard(trading)),
        *_shadow(trading),
        ("Kill switch", _kill_switch(trading)),
        ("Trading expected", _expected(trading, now)),
        ("Open positions", number(trading["open_positions"], "d")),
        ("Trades in 24 h", number(trading["recent_trades"], "d") + note("of market time")),
        ("Last trade", age(trading["last_trade_at"], now=now)),
        *_regime(trading["regime"]),
    ]
    tables = _positions(risk["positions"]) + _regimes(trading["regime"])
    return card("trading", "Trading", facts(rows, of="trading") + tables)


def _guard(trading: Mapping[str, Any]) -> Html:
    state, limits = trading["guard"], trading["guard_limits"]
    source = note(f"{limits} limits") if limits else NOTHING
    if state not in _HELD_BACK:
        return term(state) + source
    reason = note(said(trading["guard_reason"] or "no reason given"))
    return bad(term(state)) + reason + source


def _shadow(trading: Mapping[str, Any]) -> list[Fact]:
    """Return how the bot would fare without the guard, while that holds it back."""
    shadow = trading["shadow"]
    if trading["guard"] not in _HELD_BACK or shadow["drawdown_ratio"] is None:
        return []
    won = Html("no trade yet")
    if shadow["win_ratio"] is not None:
        won = Html("{} won").format(share(shadow["win_ratio"], places=1))
    return [("In the shadow", won + note(f"since the guard moved; {share(shadow['drawdown_ratio'])} below its peak"))]


def _kill_switch(trading: Mapping[str, Any]) -> Html:
    if trading["kill_switch"] is None:
        return UNKNOWN
    if not trading["kill_switch"]:
        return Html("off")
    return bad("active") + note(said(trading["kill_switch_reason"] or "no reason given"))


def _expected(trading: Mapping[str, Any], now: WallTime) -> Html:
    if trading["trading_expected"] is None:
        return UNKNOWN
    since = trading["trading_expected_since"]
    expected = Html("yes") if trading["trading_expected"] else Html("no")
    return expected + (note(lasting(since, now=now)) if since else NOTHING)


def _positions(positions: list[Mapping[str, Any]]) -> Html:
    rows = [
        (said(position["symbol"]), term(position["side"]), share(position["size_ratio"]))
        for position in sorted(positions, key=lambda position: str(position["symbol"]))
    ]
    return table("positions", "Positions", ("Symbol", "Side", "Size, of equity"), rows) if rows else NOTHING


def _regime(regimes: Mapping[str, str]) -> list[Fact]:
    """Return what can be said in a line: the only one, or how many symbols are in which."""
    if not regimes:
        return [("Regime", UNKNOWN)]
    if len(regimes) == 1:
        ((symbol, regime),) = regimes.items()
        return [("Regime", term(regime) + note(said(symbol)))]
    if len(regimes) <= MOST_UNFOLDED:
        return []
    counts = Counter(regimes.values()).most_common()
    return [("Regimes", Html("<br>").join(Html("{} {}").format(count, term(regime)) for regime, count in counts))]


def _regimes(regimes: Mapping[str, str]) -> Html:
    rows = [(said(symbol), term(regime)) for symbol, regime in sorted(regimes.items())]
    return table("regimes", "Regime by symbol", ("Symbol", "Regime"), rows) if len(rows) > 1 else NOTHING
