"""What each call on a candle costs through the exporter, and the same metrics through prometheus_client, in turn.

`updates.py rounds` prints, for each call, seconds per round: ours, by labels, by children held beforehand. One process
measures all three in turn, batch by batch, so that a machine that drifts drifts for all.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections.abc import Callable, Mapping

from loguru import logger
from nightdesk_exporter import BotExporter
from prometheus_bot import LIMITS, SYMBOL, TIMEFRAME, VALUES, Held, Labelled

CALLS = 2_000
BATCHES = 15
CHANGED = "regime, changed twice, and logged"

Update = Callable[[], None]


def ours(exporter: BotExporter) -> dict[str, Update]:
    def request() -> None:
        with exporter.request("candles"):
            pass

    def changed() -> None:
        exporter.regime(SYMBOL, "trending_up")
        exporter.regime(SYMBOL, "ranging")

    return {
        "heartbeat": lambda: exporter.heartbeat(),
        "contact": lambda: exporter.contact("ws"),
        "request": request,
        "candle": lambda: exporter.candle(SYMBOL, TIMEFRAME, close_time=1_700_000_000.0),
        "decision": lambda: exporter.decision(SYMBOL, seconds=0.002),
        "signal": lambda: exporter.signal(SYMBOL, "no_signal"),
        "regime": lambda: exporter.regime(SYMBOL, "ranging"),
        "equity": lambda: exporter.equity(10_000.0, peak=10_500.0, daily_pnl_ratio=-0.001),
        "position": lambda: exporter.position(SYMBOL, "long", size_ratio=0.4),
        "guard": lambda: exporter.guard("normal", size_multiplier=1.0, values=VALUES, limits=LIMITS),
        CHANGED: changed,
    }


def theirs(peer: Labelled) -> dict[str, Update]:
    def changed() -> None:
        peer.changed_regime("trending_up")
        peer.changed_regime("ranging")

    return {
        "heartbeat": lambda: peer.heartbeat(),
        "contact": lambda: peer.contact(),
        "request": lambda: peer.request(),
        "candle": lambda: peer.candle(),
        "decision": lambda: peer.decision(),
        "signal": lambda: peer.signal(),
        "regime": lambda: peer.regime("ranging"),
        "equity": lambda: peer.equity(),
        "position": lambda: peer.position(),
        "guard": lambda: peer.guard(),
        CHANGED: changed,
    }


def with_all(updates: dict[str, Update]) -> dict[str, Update]:
    """Add everything of one candle, in which the regime stays."""
    each = tuple(update for name, update in updates.items() if name != CHANGED)

    def everything() -> None:
        for update in each:
            update()

    return {**updates, "all of a candle": everything}


def seconds(sides: tuple[Mapping[str, Update], ...], name: str) -> list[float]:
    """Return the least seconds of a call for each side: what comes on top is the machine's."""
    timers = [timeit.Timer(side[name]) for side in sides]
    least = [float("inf")] * len(sides)
    for _ in range(BATCHES):
        for at, timer in enumerate(timers):
            least[at] = min(least[at], timer.timeit(CALLS) / CALLS)
    return least


def main(rounds: int) -> None:
    logger.remove()  # where a log goes to is the bot's affair
    with BotExporter("btc", symbols=[(SYMBOL, TIMEFRAME)], outcomes=["no_signal"], port=0, strict=True) as exporter:
        sides = with_all(ours(exporter)), with_all(theirs(Labelled())), with_all(theirs(Held()))
        for side in sides:
            for update in side.values():
                update()
        told = {name: [seconds(sides, name) for _ in range(rounds)] for name in sides[0]}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
