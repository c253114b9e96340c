"""Candles that do not come, and candles that nobody decides on: a loop that turns says nothing of either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nightdesk_core.age import age_seconds, is_ahead, newest
from nightdesk_core.clock import WallTime

from nightdesk_alerts.catalogue.declaration import (
    ANY_CRITICAL,
    AlertCondition,
    AlertDeclaration,
    Due,
    Severity,
    Subject,
    Symptom,
    inhibited_by,
)
from nightdesk_alerts.catalogue.exchange import EXCHANGE_DISCONNECTED
from nightdesk_alerts.catalogue.late import due, late
from nightdesk_alerts.catalogue.liveness import LOOP_STALLED
from nightdesk_alerts.catalogue.view import EPOCH, ExpectedCandles, LimitsView, Situation


class _Wait(NamedTuple):
    """Since when a market's next candle is waited for, and for how long at most."""

    symbol: str
    timeframe: str
    last: WallTime
    limit: float


def _limit(candles: ExpectedCandles, limits: LimitsView) -> float:
    """Return how long after the last candle the next one is stale: one may be late, the next one too is a fault."""
    return 2 * candles.interval_seconds + limits.candle_grace_seconds


def _waits(seen: Situation) -> Iterator[_Wait]:
    bot, received = seen.bot, seen.bot.candles
    reopened = bot.trading_expected_since or EPOCH
    for (symbol, timeframe), candles in dict(bot.candles_expected).items():
        last_seen = received.get((symbol, timeframe))
        since = _since(seen, candles, None if last_seen is None else last_seen[0])
        last = newest([since, reopened], now=seen.now)
        yield _Wait(symbol, timeframe, last, _limit(candles, seen.limits))


def _since(seen: Situation, candles: ExpectedCandles, reported: WallTime | None) -> WallTime:
    """Return since when more is waited for: the last report, or when candles began to be expected, if that is later.

    What never came is late, too. What is expected from the bot's start on may have come before it, where somebody else
    reports of it.
    """
    from_the_start = candles.since == seen.bot.started_at
    if reported is not None and from_the_start and not is_ahead(reported, now=seen.now):
        return reported
    return candles.since if reported is None else newest([reported, candles.since], now=seen.now)


def _stale(seen: Situation) -> Iterator[Symptom | Due]:
    bot = seen.bot
    if bot.trading_expected is False:
        return
    for symbol, timeframe, last, limit in _waits(seen):
        severity: Severity = "warning" if bot.positions.get(symbol) is None else "critical"
        what, labels = f"no candle of {symbol} {timeframe}", {"symbol": symbol, "timeframe": timeframe}
        yield from late(seen, severity, what, last=last, limit=limit, labels=labels)
    if not bot.candles_expected and "candles" not in bot.without:
        what, limit = "no candles are expected, nor any seen,", seen.limits.first_candle_seconds
        yield from late(seen, "warning", what, last=bot.started_at, limit=limit)


def _sees_every_candle(seen: Situation) -> bool:
    bot, received = seen.bot, seen.bot.candles
    all_seen = bool(received) and all(each in received for each in tuple(bot.candles_expected))
    return bot.trading_expected is False or "candles" in bot.without or all_seen


CANDLE_STALE = AlertDeclaration(
    name="TradebotCandleStale",
    summaries={
        "critical": "No candles arrive while a position is open.",
        "warning": "No candles arrive.",
    },
    when="No candle was received for two intervals and a minute, where the market is open; critical while a position in"
    " the symbol is open. Where not even the interval is known, two hours and a minute count;"
    " a bot that says that it has no candles is silent then.",
    labels=("bot", "symbol", "timeframe"),
    condition=AlertCondition(
        issue="candle_stale", find=_stale, is_known=_sees_every_candle, unhealthy=("critical", "warning")
    ),
    muted_by=inhibited_by(LOOP_STALLED, EXCHANGE_DISCONNECTED),
)


def _rejected(seen: Situation) -> Iterator[Symptom | Due]:
    expected = dict(seen.bot.candles_expected)
    for market, found in dict(seen.bot.candles_rejected).items():
        candles = expected.get(market)
        if candles is not None and age_seconds(found.at, now=seen.now) < _limit(candles, seen.limits):
            yield from due(seen, found.at + _limit(candles, seen.limits))
            symbol, timeframe = market
            labels = {"symbol": symbol, "timeframe": timeframe}
            yield Symptom("warning", f"{symbol} {timeframe}: {found.text}", since=found.at, labels=labels)


CANDLE_REJECTED = AlertDeclaration(
    name="TradebotCandleRejected",
    summaries={"warning": "The exchange serves a candle that cannot be true."},
    when="Within the last two intervals and a minute the bot has set a candle aside: it was asked for several times,"
    " and what was told each time contradicts itself.",
    labels=("bot", "symbol", "timeframe"),
    condition=AlertCondition(issue="candle_rejected", find=_rejected, is_known=_sees_every_candle),
)


def _unlisted(seen: Situation) -> Iterator[Symptom]:
    for symbol, listed in dict(seen.bot.listed).items():
        if listed:
            continue
        held = seen.bot.positions.get(symbol) is not None
        severity: Severity = "critical" if held else "warning"
        what = ", and a position in it is open: no stop acts" if held else ""
        yield Symptom(severity, f"the exchange does not list {symbol}{what}", labels={"symbol": symbol})


SYMBOL_UNLISTED = AlertDeclaration(
    name="TradebotSymbolUnlisted",
    summaries={
        "critical": "The exchange does not list a symbol in which a position is open.",
        "warning": "The exchange does not list a symbol that the bot is to trade.",
    },
    when="The exchange does not list the symbol: it is delisted, renamed or suspended, or was never there. The others"
    " trade on; critical while a position in it is open.",
    labels=("bot", "symbol"),
    condition=AlertCondition(
        issue="symbol_unlisted", find=_unlisted, is_known=lambda seen: bool(seen.bot.listed), unhealthy=("critical",)
    ),
)


def _undecided(seen: Situation) -> Iterator[Symptom | Due]:
    bot = seen.bot
    if bot.trading_expected is False or "decisions" in bot.without:
        return
    stale = {wait.symbol for wait in _waits(seen) if age_seconds(wait.last, now=seen.now) > wait.limit}
    waiting: dict[str, tuple[WallTime, float]] = {}
    decided_at = bot.decided_at
    for (symbol, _), candles in dict(bot.candles_expected).items():
        last, longest = waiting.get(symbol, (bot.trading_expected_since or EPOCH, 0.0))
        since = _since(seen, candles, decided_at.get(symbol))
        waiting[symbol] = (newest([since, last], now=seen.now), max(_limit(candles, seen.limits), longest))
    for symbol, (last, limit) in waiting.items():
        if symbol not in stale:  # there the candles are what is missing
            what, labels = f"no decision on {symbol}", {"symbol": symbol}
            yield from late(seen, "critical", what, last=last, limit=limit, labels=labels)


def _decides(seen: Situation) -> bool:
    symbols = {symbol for symbol, _ in tuple(seen.bot.candles_expected)}
    decided = bool(symbols) and symbols <= seen.bot.decided_at.keys()
    return seen.bot.trading_expected is False or bool({"decisions", "candles"} & set(seen.bot.without)) or decided


# The health check says what a more precise alert has said.
UNHEALTHY = AlertDeclaration(
    name="TradebotUnhealthy",
    summaries={"critical": "The bot's own health check says that it does not do its work."},
    when="For 5m the health check has said unhealthy and no more precise alert has: no candle is decided on.",
    condition=AlertCondition(issue="no_decision", find=_undecided, is_known=_decides, unhealthy=("critical",)),
    muted_by=inhibited_by(ANY_CRITICAL),
)

CANDLES = Subject("Candles and decisions", "liveness", (CANDLE_STALE, CANDLE_REJECTED, SYMBOL_UNLISTED, UNHEALTHY))
