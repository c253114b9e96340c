"""The bot in each state that the page shows, and a browser to look at it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter
from nightdesk_exporter.page import View, document

from tests.exporter.conftest import BTC, NOW, Clock, make, tell_everything
from tests.exporter.page.browser import Browser, started

EVIL = "<script>document.title='run'</script><img src=x onerror=alert(1)>\"'&</main><!--"


def _told(clock: Clock) -> BotExporter:
    exporter = make(clock)
    seed(exporter)
    exporter.health()
    tell_everything(exporter)
    exporter.equity(10_500.0, peak=10_700.0, daily_pnl_ratio=0.004)
    return exporter


def _degraded(clock: Clock) -> BotExporter:
    exporter = _told(clock)
    exporter.guard("reduced", reason="5 losses in a row, the limit is 4")
    exporter.kill_switch(active=True, reason="by hand")
    return exporter


def _unhealthy(clock: Clock) -> BotExporter:
    exporter = _degraded(clock)
    exporter.equity(8_700.0, peak=10_700.0, daily_pnl_ratio=-0.061)
    exporter.model_load_failed("the manifest's hash of model.txt is another")
    clock.now += 900
    return exporter


def _stopped(clock: Clock) -> BotExporter:
    exporter = _told(clock)
    exporter.snapshot.stopped_by = "ZeroDivisionError: division by zero"
    exporter._health_checks.stop()
    return exporter


def _many(clock: Clock) -> BotExporter:
    symbols = [f"COIN{number:03}/USDT:USDT" for number in range(240)]
    exporter = BotExporter("portfolio", symbols=[(symbol, "15m") for symbol in symbols], port=0, clock=clock)
    seed(exporter)
    tell_everything(exporter)
    for number, symbol in enumerate(symbols):
        exporter.candle(symbol, "15m", close_time=NOW)
        exporter.decision(symbol)
        exporter.regime(symbol, ("ranging", "trending_up", "high_volatility")[number % 3])
        exporter.position(symbol, "long" if number % 2 else "short", size_ratio=0.005)
    return exporter


def _evil(clock: Clock) -> BotExporter:
    """Every word that comes from outside is dangerous."""
    symbols = [(f"{EVIL}{number}", "1h") for number in range(12)]
    # A name is no path; the rest of what is dangerous may stand in it.
    exporter = BotExporter(EVIL.replace("/", ""), symbols=symbols, port=0, clock=clock, currency=EVIL)
    exporter.heartbeat()
    for symbol, timeframe in symbols:
        exporter.candle(symbol, timeframe, close_time=NOW)
        exporter.decision(symbol)
        exporter.regime(symbol, "ranging")
        exporter.position(symbol, "long", size_ratio=0.1)
    exporter.contact(EVIL)
    exporter.equity(10_000.0)
    exporter.guard("paused", reason=EVIL)
    exporter.kill_switch(active=True, reason=EVIL)
    exporter.model(EVIL, trained_at=NOW, standing="champion")
    exporter.model_load_failed(EVIL)
    exporter.event(EVIL, level="ERROR")
    return exporter


STATES: dict[str, Callable[[Clock], BotExporter]] = {
    "unknown": make,
    "healthy": _told,
    "degraded": _degraded,
    "unhealthy": _unhealthy,
    "stopped": _stopped,
    "many": _many,
    "evil": _evil,
}


def seed(exporter: BotExporter) -> None:
    """Begin with a curve of two months."""
    exporter.equity_history(
        (NOW - (400 - number) * 14_400, 10_000 + 600 * math.sin(number / 40) + 90 * math.sin(number * 1.7))
        for number in range(390)
    )


def view(exporter: BotExporter, clock: Clock) -> View:
    """Return what the exporter's page is made from."""
    return View(exporter.status(), exporter.snapshot.curve.points(), exporter._limits, now=WallTime(clock.now))


def page(state: str) -> str:
    """Return the page of a bot in a state."""
    clock = Clock()
    return document(view(STATES[state](clock), clock))


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with started(tmp_path / "profile") as browser:
        yield browser


__all__ = ["BTC", "EVIL", "NOW", "STATES", "page", "seed", "view"]
