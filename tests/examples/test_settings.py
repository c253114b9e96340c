"""The example settings: each loads, names the exchange that it says, and works against the sandbox as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from nightdesk.settings import Settings, load
from nightdesk_core.clock import MarketTime
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.server import ExchangeHandle, serve_exchange
from nightdesk_sandbox.settings import SandboxSettings
from nightdesk_trendbot.market.exchange import Exchange, open_exchange
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.pipeline import TrendPipeline

from tests.sandbox.conftest import WAIT_SECONDS, make_candles, write_csv

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "settings"
EXAMPLES = sorted(FOLDER.glob("*.yml"))
HOUR = 3600
HOSTS = {
    "bybit-mainnet": ("api.{hostname}", "stream.{hostname}"),
    "bybit-testnet": ("api-testnet.{hostname}", "stream-testnet.{hostname}"),
    "binance-mainnet": ("fapi.binance.com", "fstream.binance.com"),
    "binance-testnet": ("testnet.binancefuture.com", "fstream.binancefuture.com"),
    "binance-spot": ("api.binance.com", "stream.binance.com:9443"),
}
every_example = pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)


@pytest.fixture(scope="module")
def candles() -> RecordedCandles:
    """More than two pages, an hour missing."""
    return make_candles(2600, missing=(1500,))


@pytest.fixture
def moved(tmp_path: Path, candles: RecordedCandles) -> Any:
    """Serve the sandbox, and load an example with nothing changed but the hosts and its home."""
    settings = SandboxSettings(
        candles=write_csv(candles, tmp_path / "candles.csv"), replay_days=2, candles_per_second=20, funding_rate=0.0001
    )

    @asynccontextmanager
    async def serve(file: Path) -> AsyncIterator[tuple[ExchangeHandle, Settings]]:
        async with serve_exchange(settings, home=tmp_path, host="127.0.0.1", port=0) as handle:
            sets = {"rest_url": handle.url, "stream_url": handle.websocket_url}
            there = [f"trendbot.exchange.{key}={url}" for key, url in sets.items()]
            yield handle, load(file, [f"home={tmp_path / 'home'}", *there])

    return serve


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[Exchange]:
    async with open_exchange(settings.trendbot.exchange, SilentListener()) as exchange, asyncio.timeout(WAIT_SECONDS):
        await exchange.load(settings.trendbot.symbols)
        yield exchange


def test_there_is_an_example_of_each_exchange() -> None:
    assert {file.stem for file in EXAMPLES} == set(HOSTS)


@every_example
async def test_an_example_follows_the_exchange_that_it_says_without_a_key_and_with_no_channel_of_anybodys(
    file: Path,
) -> None:
    settings = load(file)
    assert not settings.sandbox.enabled
    assert settings.operations.alerts.alerting().channels == ()
    assert settings.bot.name.startswith(file.stem.removesuffix("-mainnet"))
    async with open_exchange(settings.trendbot.exchange, SilentListener()) as exchange:
        client = exchange._client
    assert not client.apiKey
    if client.id == "bybit":
        urls = client.urls["api"]["public"], client.urls["api"]["ws"]["public"]["linear"]
    else:
        side, rest = ("spot", "public") if client.id == "binance" else ("linear", "fapiPublic")
        urls = client.urls["api"][rest], client.urls["api"]["ws"][side]
    assert tuple(urlsplit(url).netloc for url in urls) == HOSTS[file.stem]


@every_example
def test_the_history_that_it_asks_for_is_enough_to_train_on(file: Path) -> None:
    retrain = load(file).retrain
    # The sample has 1.3 breakouts a day, and a model is trained on 200 of them at least.
    assert min(retrain.min_history_days, retrain.history_days) - retrain.holdout_days >= 180
    assert retrain.min_common_days <= retrain.holdout_days


@every_example
async def test_its_options_ask_for_one_kind_of_market_and_the_whole_history_page_by_page(
    file: Path, moved: Any, candles: RecordedCandles
) -> None:
    async with moved(file) as (handle, settings), following(settings) as exchange:
        [symbol] = settings.trendbot.symbols
        assert list(exchange._client.markets) == [symbol]
        now = await exchange.now()
        assert now == MarketTime(handle.exchange.replay.now())
        first, stop = int(candles.time[0]), now.whole_seconds
        told = await exchange.told(symbol, settings.trendbot.timeframe, start=first, stop=stop, interval_seconds=HOUR)
    bars = told.bars
    closed = candles.time < stop
    assert [bar.time for bar in bars] == candles.time[closed].tolist()
    assert [bar.close for bar in bars] == candles.close[closed].tolist()


@every_example
async def test_its_funding_history_is_read_or_there_is_none(file: Path, moved: Any) -> None:
    async with moved(file) as (handle, settings), following(settings) as exchange:
        [symbol] = settings.trendbot.symbols
        stop = int(handle.exchange.replay.now())
        rates = await exchange.funding(symbol, start=stop - 90 * 86_400, stop=stop, every_seconds=8 * HOUR)
    if file.stem == "binance-spot":
        assert rates == {}
    else:
        assert set(rates.values()) == {0.0001}
        assert sorted(rates) == list(range(-(-(stop - 90 * 86_400) // 28_800) * 28_800, stop, 28_800))


@every_example
async def test_its_stream_brings_candles_until_they_are_closed(
    file: Path, moved: Any, candles: RecordedCandles
) -> None:
    truth = dict(zip(candles.time.tolist(), candles.close.tolist(), strict=True))
    async with moved(file) as (_, settings), following(settings) as exchange:
        [symbol] = settings.trendbot.symbols
        last: dict[int, float] = {}
        while len(last) < 4:
            for bar in await exchange.watch(symbol, settings.trendbot.timeframe):
                last[bar.time] = bar.close
    *closed, _ = sorted(last)
    assert {time: last[time] for time in closed} == {time: truth[time] for time in closed}


@every_example
async def test_the_job_collects_its_window(file: Path, moved: Any, candles: RecordedCandles) -> None:
    async with moved(file) as (handle, settings):
        pipeline = TrendPipeline.from_settings(settings.model_dump(mode="json"))
        window = await asyncio.to_thread(pipeline.collect, days=100, progress=lambda _what, _share: None)
    assert window.info.end == handle.exchange.replay.now()
    assert window.info.rows >= 100 * 24 - 1
