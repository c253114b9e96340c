"""Every fault of the exchange, alone and with every other: the bot's candles are the market's, and come once each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nightdesk_core.clock import MarketTime, TimeScale, system_clock
from nightdesk_exporter import BotExporter
from nightdesk_sandbox.server import ExchangeHandle, serve_exchange
from nightdesk_sandbox.settings import SandboxSettings
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.events import Step
from nightdesk_trendbot.market.exchange import Exchange, open_exchange
from nightdesk_trendbot.market.feed import Feed
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.settings import CostSettings, ExchangeSettings

from tests.e2e.conftest import CHECKOUT

SYMBOLS = ("BTC/USDT:USDT", "EUR/USDT:USDT")
HOUR = 3600
SPEED = 40
STEPS = 48
BEGINS, LASTS = 6, 0.5
"""The faults begin after so many steps and last so many seconds: twenty candles."""
AT_ONCE = 6

FAULTS: dict[str, dict[str, Any]] = {
    "drop": {"name": "drop"},
    "silence": {"name": "silence"},
    "error500": {"name": "error500"},
    "wrong_answer": {"name": "wrong_answer"},
    "rate_limit": {"name": "rate_limit"},
    "gap": {"name": "gap"},
    "gap-confirmation": {"name": "gap", "what": "confirmation", "every": 1},
    "duplicate": {"name": "duplicate"},
    "out_of_order": {"name": "out_of_order"},
    "late": {"name": "late"},
    "revised": {"name": "revised"},
    "revised-confirmation": {"name": "revised", "what": "confirmation", "change": 0.05},
    "malformed-text": {"name": "malformed", "kind": "text"},
    "malformed": {"name": "malformed"},
    "clock_offset": {"name": "clock_offset", "offset_seconds": 20 * HOUR},
    "clock_offset-behind": {"name": "clock_offset", "offset_seconds": -20 * HOUR},
    "price_shock": {"name": "price_shock", "change": -0.2},
}
PAIRS = [pair for pair in itertools.combinations(FAULTS, 2) if FAULTS[pair[0]]["name"] != FAULTS[pair[1]]["name"]]


@asynccontextmanager
async def market(home: Path) -> AsyncIterator[tuple[ExchangeHandle, Exchange]]:
    """Serve two markets of which one pauses at weekends, and yield them with a bot's connection to them."""
    settings = SandboxSettings(
        candles_per_second=SPEED,
        replay_days=7,
        symbols=("BTCUSDT", "EURUSDT"),
        funding_rate=0.0003,
        cache_dir=CHECKOUT / "var" / "cache",
    )
    async with serve_exchange(settings, home=home, host="127.0.0.1", port=0) as handle:
        there = ExchangeSettings(
            rest_url=handle.url,
            stream_url=handle.websocket_url,
            rate_limited=False,
            options={"fetchMarkets": {"types": ["linear"]}},
        )
        async with open_exchange(there, SilentListener()) as exchange:
            await exchange.load(SYMBOLS)
            yield handle, exchange


async def steps_through(faults: list[dict[str, Any]], home: Path) -> tuple[list[Step], list[Step]]:
    """Return the steps that a feed told of while the faults were on and after, and those that there truly were."""
    async with market(home) as (handle, exchange), aiohttp.ClientSession() as http:
        scale = TimeScale(SPEED * HOUR)
        start = (await exchange.now()).whole_seconds // HOUR * HOUR
        feed = Feed(
            exchange,
            BotExporter("btc", symbols=[(symbol, "1h") for symbol in SYMBOLS], port=0),
            symbols=SYMBOLS,
            timeframe="1h",
            interval_seconds=HOUR,
            costs=CostSettings(),
            clock=MarketClock(scale, system_clock),
            after=MarketTime(start - HOUR),
            silence_seconds=0.2,
            longest_wait_seconds=0.1,
            longest_lag_seconds=0.1,
        )
        told: list[Step] = []
        async with aclosing(feed.events()) as events:
            async for event in events:
                if not isinstance(event, Step):
                    continue
                told.append(event)
                if len(told) == BEGINS:
                    for fault in faults:
                        async with http.post(f"{handle.url}/sandbox/fault", json={**fault, "seconds": LASTS}) as answer:
                            assert answer.ok
                if len(told) >= STEPS:
                    break
        async with http.delete(f"{handle.url}/sandbox/fault") as answer:
            assert answer.ok
        return told, await truth(exchange, start, told[-1].time.whole_seconds + HOUR)


async def truth(exchange: Exchange, start: int, stop: int) -> list[Step]:
    """Return the steps of a stretch as the exchange has them once everything is over."""
    steps: dict[int, dict[str, Any]] = {}
    for symbol in SYMBOLS:
        rates = await exchange.funding(symbol, start=start, stop=stop, every_seconds=8 * HOUR)
        told = await exchange.told(symbol, "1h", start=start, stop=stop, interval_seconds=HOUR)
        for bar in told.bars:
            steps.setdefault(bar.time, {})[symbol] = bar._replace(funding=rates.get(bar.time, 0.0))
    return [
        Step(MarketTime(time), {symbol: steps[time][symbol] for symbol in SYMBOLS if symbol in steps[time]})
        for time in sorted(steps)
    ]


@pytest.mark.parametrize("name", FAULTS)
async def test_through_a_fault_every_step_comes_once_and_true(name: str, tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        told, true = await steps_through([FAULTS[name]], tmp_path)
    assert told == true


async def test_through_every_pair_of_faults_every_step_comes_once_and_true(tmp_path: Path) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def judged(first: str, second: str) -> str:
        async with free, asyncio.timeout(60):
            told, true = await steps_through([FAULTS[first], FAULTS[second]], tmp_path / f"{first} {second}")
            return "" if told == true else f"{first} and {second}"

    wrong = [what for what in await asyncio.gather(*(judged(*pair) for pair in PAIRS)) if what]
    assert wrong == []
    assert len(PAIRS) > 100
