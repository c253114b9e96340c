"""What the exporter costs the bot: an update, a scrape while the loop is busy, an import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.comparison import AtLeast, AtMost, AtMostTimes, Row
from bench.environments import OURS, environment, told_by

ROUNDS = 3
SCRAPES = 1_000
PEER_SCRAPES = 200
"""Enough for a percentile that is many times ours, and not for ever."""
IMPORTS = 15
IMPORT = "from nightdesk_exporter import BotExporter"
SERVE = f"{IMPORT}\nexporter = BotExporter('btc', symbols=[('BTC/USDT:USDT', '1h')], port=0).__enter__()"
DEPENDENCIES = {
    "import prometheus_client": "prometheus_client",
    "import prometheus_client, loguru": "prometheus_client and loguru",
}
UNLABELLED = ("heartbeat",)
"""Where prometheus_client has no child to look up there is no goal."""


def updates() -> Iterator[Row]:
    """A call of the exporter against prometheus_client's labels, and against its children held beforehand."""
    told: dict[str, list[list[float]]] = told_by(OURS, "updates", ROUNDS)
    for name, rounds in told.items():
        labelled = [(ours * 1e6, theirs * 1e6) for ours, theirs, _ in rounds]
        yield Row(name, "prometheus_client", "µs", labelled, None if name in UNLABELLED else AtLeast(3))
    for name, rounds in told.items():
        yield Row(name, "prometheus_client, child held", "µs", [(ours * 1e6, held * 1e6) for ours, _, held in rounds])


def pauses() -> Iterator[Row]:
    """The longest pause of a busy loop in a scrape of 10,000 series, against other servers and against no scrape.

    A pause's own part is the process's own processor time, which a busy machine does not lengthen.
    """
    apart = environment("prometheus-async")
    registry, paused, by_client, by_async = (
        told_by(OURS, "pause_nightdesk", SCRAPES),
        told_by(OURS, "pause_nightdesk", SCRAPES, "paused"),
        told_by(OURS, "pause_prometheus_client", PEER_SCRAPES),
        told_by(apart, "pause_prometheus_async", PEER_SCRAPES),
    )
    name = "pause by a scrape of 10,000 series, p99"
    yield _pause(name, registry, by_client["pause"], f"prometheus_client, {PEER_SCRAPES}", AtMost(10))
    yield _pause(name, registry, by_async["pause"], f"prometheus-async, {PEER_SCRAPES}")
    yield _pause(f"{name}, own", registry, by_client["own"], f"prometheus_client, {PEER_SCRAPES}", key="own")
    yield _pause(f"{name}, own", registry, paused["own"], "ours, no garbage collected in it", key="own")
    yield _pause(name, registry, registry["quiet"], "the machine by itself")
    bot = told_by(OURS, "pause_bot_nightdesk", SCRAPES)
    paused = told_by(OURS, "pause_bot_nightdesk", SCRAPES, "paused")
    by_client = told_by(OURS, "pause_bot_prometheus_client", PEER_SCRAPES)
    name = "the same of a bot with 550 symbols"
    yield _pause(name, bot, by_client["pause"], f"prometheus_client, {PEER_SCRAPES}", AtMost(10))
    yield _pause(name, bot, bot["quiet"], "the machine by itself")
    yield _pause(f"{name}, own", bot, by_client["own"], f"prometheus_client, {PEER_SCRAPES}", key="own")
    yield _pause(f"{name}, own", bot, paused["own"], "ours, no garbage collected in it", key="own")


def imports() -> Iterator[Row | str]:
    """Importing the exporter, and serving with it, against what it stands on, in turn: processor time and memory."""
    found: dict[str, list[Any]] = {code: [told_by(OURS, "imports", code)] for code in (IMPORT, SERVE, *DEPENDENCIES)}
    for _ in range(IMPORTS):
        for code, figures in found.items():
            figures.append(told_by(OURS, "imports", code))
    for name, ours, most in (("import", IMPORT, 1.3), ("import and serve", SERVE, 2.0)):
        for theirs, peer in DEPENDENCIES.items():
            # The first of each wrote the bytecode, as an installation does.
            pairs = list(zip(found[ours][1:], found[theirs][1:], strict=True))
            cpu = [(our["cpu_seconds"] * 1e3, their["cpu_seconds"] * 1e3) for our, their in pairs]
            memory = [(our["megabytes"], their["megabytes"]) for our, their in pairs]
            both = "loguru" in theirs
            yield Row(f"{name}, processor time", peer, "ms", cpu, AtMostTimes(most) if both else None)
            yield Row(f"{name}, memory of the process", peer, "MB", memory, AtMost(32) if both else None)
        yield f"{name}, what others wrote that is loaded: {', '.join(found[ours][0]['loaded'])}"


def _pause(
    name: str, ours: Any, theirs: dict[str, float], peer: str, goal: AtMost | None = None, *, key: str = "pause"
) -> Row:
    return Row(name, peer, "ms", [(ours[key]["p99"] * 1e3, theirs["p99"] * 1e3)], goal)
