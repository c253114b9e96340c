"""The loop, candles and decisions."""

from __future__ import annotations

from collections.abc import Callable

from nightdesk_alerts.catalogue.candles import CANDLE_REJECTED, CANDLE_STALE, SYMBOL_UNLISTED, UNHEALTHY
from nightdesk_alerts.catalogue.liveness import LOOP_STALLED
from nightdesk_core.clock import WallTime, iso
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Issue
from nightdesk_exporter.snapshot import Snapshot

from tests.exporter.conftest import BTC, NOW, Clock, late
from tests.exporter.health_cases.case import (
    DEGRADED,
    ETH,
    UNHEALTHY_VERDICT,
    AlertStory,
    Case,
    critical,
    happens,
    says,
    warning,
)
from tests.exporter.story import Bot, Minute, after, without

CANDLE_ISSUE = ("no candle of BTC/USDT:USDT 1h for 7261 s, the limit is 7260 s", 7260, WallTime(NOW + 7260))
CANDLE_LABELS = {"symbol": BTC, "timeframe": "1h"}


def no_candle_while_flat(exporter: BotExporter, clock: Clock) -> None:
    exporter.position(BTC, None)
    late(7261, "loop", "contact", "decision", "equity")(exporter, clock)


def candles_with_a_position(bot: Bot, minute: Minute) -> None:
    bot.healthy(without=("candle",) if minute >= 10 else ())
    bot.exporter.position(BTC, "long", size_ratio=0.5)


def says_candles(snapshot: Snapshot) -> None:
    at = snapshot.started_at.seconds
    snapshot.candles_wall_and_market |= {(symbol, "1h"): (at, at) for symbol in (BTC, ETH)}


def says_decisions(snapshot: Snapshot) -> None:
    snapshot.decided_at_wall |= {BTC: snapshot.started_at.seconds, ETH: snapshot.started_at.seconds}


def rejected(timeframe: str) -> Callable[[BotExporter], None]:
    return lambda exporter: exporter.candle_rejected(BTC, timeframe, open_time=NOW, reason="has a negative volume")


def unlisted(exporter: BotExporter) -> None:
    exporter.position(BTC, None)
    exporter.listed(BTC, listed=False)


def unlisted_with_a_position(exporter: BotExporter) -> None:
    exporter.position(BTC, "long", size_ratio=0.5)
    exporter.listed(BTC, listed=False)


CASES = (
    Case(
        late(121, "contact"),
        Issue(
            "loop_stalled",
            UNHEALTHY_VERDICT,
            "no turn of the loop for 121 s, the limit is 120 s",
            120,
            WallTime(NOW + 120),
            critical(LOOP_STALLED),
        ),
        AlertStory(plot=without("heartbeat", from_minute=10), known_by=happens("heartbeat_at_wall")),
    ),
    Case(
        no_candle_while_flat,
        Issue("candle_stale", UNHEALTHY_VERDICT, *CANDLE_ISSUE, warning(CANDLE_STALE), CANDLE_LABELS),
        AlertStory(plot=without("candle", from_minute=10), known_by=says_candles),
    ),
    Case(
        late(7261, "loop", "contact", "decision", "equity"),
        Issue("candle_stale", UNHEALTHY_VERDICT, *CANDLE_ISSUE, critical(CANDLE_STALE), CANDLE_LABELS),
        AlertStory(plot=candles_with_a_position, known_by=says_candles),
    ),
    Case(
        lambda exporter, _: rejected("1h")(exporter),
        Issue(
            "candle_rejected",
            DEGRADED,
            f"BTC/USDT:USDT 1h: the candle of {iso(NOW)} has a negative volume",
            None,
            WallTime(NOW),
            warning(CANDLE_REJECTED),
            CANDLE_LABELS,
        ),
        AlertStory(plot=after(rejected("5m"), until=25), known_by=says_candles),
    ),
    Case(
        lambda exporter, _: unlisted(exporter),
        Issue(
            "symbol_unlisted",
            DEGRADED,
            "the exchange does not list BTC/USDT:USDT",
            None,
            WallTime(NOW),
            warning(SYMBOL_UNLISTED),
            {"symbol": BTC},
        ),
        AlertStory(plot=after(unlisted), known_by=says("listed", {BTC: True})),
    ),
    Case(
        lambda exporter, _: unlisted_with_a_position(exporter),
        Issue(
            "symbol_unlisted",
            UNHEALTHY_VERDICT,
            "the exchange does not list BTC/USDT:USDT, and a position in it is open: no stop acts",
            None,
            WallTime(NOW),
            critical(SYMBOL_UNLISTED),
            {"symbol": BTC},
        ),
        AlertStory(plot=after(unlisted_with_a_position), known_by=says("listed", {BTC: True})),
    ),
    Case(
        late(7261, "loop", "contact", "candle", "equity"),
        Issue(
            "no_decision",
            UNHEALTHY_VERDICT,
            "no decision on BTC/USDT:USDT for 7261 s, the limit is 7260 s",
            7260,
            WallTime(NOW + 7260),
            critical(UNHEALTHY),
            {"symbol": BTC},
        ),
        AlertStory(plot=without("decision", from_minute=10), waits=5, known_by=says_decisions),
    ),
)
