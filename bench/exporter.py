"""What the exporter costs the bot: an update, a scrape while the loop is busy, an import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.comparison import AtLeast, AtMost, Row
from bench.environments import OURS, environment, told_by

ROUNDS = 3
SCRAPES = 1_000
PEER_SCRAPES = 200
"""Enough for a percentile that is many times ours, and not for ever."""
IMPORTS = 15
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
    """The longest pause of a busy loop in a scrape of 10,000 series, against other servers and against no scrape."""
    apart = environment("prometheus-async")
    registry, by_client, by_async = (
        told_by(OURS, "pause_nightdesk", SCRAPES),
        told_by(OURS, "pause_prometheus_client", PEER_SCRAPES),
        told_by(apart, "pause_prometheus_async", PEER_SCRAPES),
    )
    name = "pause by a scrape of 10,000 series, p99"
    yield _pause(name, registry, by_client["pause"], f"prometheus_client, {PEER_SCRAPES}", AtMost(10))
    yield _pause(name, registry, by_async["pause"], f"prometheus-async, {PEER_SCRAPES}")
    yield _pause(name, registry, registry["quiet"], "the machine by itself")
    bot = told_by(OURS, "pause_bot_nightdesk", SCRAPES)
    by_client = told_by(OURS, "pause_bot_prometheus_client", PEER_SCRAPES)
    name = "the same of a bot with 550 symbols"
    yield _pause(name, bot, by_client["pause"], f"prometheus_client, {PEER_SCRAPES}", AtMost(10))
    yield _pause(name, bot, bot["quiet"], "the machine by itself")


def imports() -> Iterator[Row | str]:
    """Importing the exporter alone, against what it stands on."""
    peers = {"prometheus_client": ["prometheus_client"], "and loguru": ["prometheus_client", "loguru"]}
    found: dict[str, list[tuple[Any, Any]]] = {peer: [] for peer in peers}
    for _ in range(IMPORTS):
        for peer, modules in peers.items():
            found[peer].append((told_by(OURS, "imports", "nightdesk_exporter"), told_by(OURS, "imports", *modules)))
    for name, key, unit, factor, most in (
        ("import, time", "seconds", "ms", 1e3, 200),
        ("import, memory of the process", "megabytes", "MB", 1, 32),
    ):
        for peer, rounds in found.items():
            figures = [(ours[key] * factor, theirs[key] * factor) for ours, theirs in rounds]
            yield Row(name, peer, unit, figures, AtMost(most))
    ours, _ = found["prometheus_client"][0]
    yield f"import, what others wrote that is loaded: {', '.join(ours['loaded'])}"


def _pause(name: str, ours: Any, theirs: dict[str, float], peer: str, goal: AtMost | None = None) -> Row:
    return Row(name, peer, "ms", [(ours["pause"]["p99"] * 1e3, theirs["p99"] * 1e3)], goal)
