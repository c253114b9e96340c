"""What `nightdesk check` says of the exchange, against the sandbox and against one that is not there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nightdesk.check.exchange import check_exchange, refuse_other_time
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings, load
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.pipeline import DataError
from nightdesk_sandbox.server import ExchangeHandle, serve_exchange
from nightdesk_sandbox.settings import SandboxSettings

from tests.desk.conftest import CHECKOUT, Load
from tests.sandbox.conftest import WAIT_SECONDS, make_candles, write_csv

EXAMPLES = sorted((CHECKOUT / "examples" / "settings").glob("*.yml"))


@asynccontextmanager
async def sandbox(tmp_path: Path, *, candles_per_second: float = 1) -> AsyncIterator[ExchangeHandle]:
    candles = write_csv(make_candles(100), tmp_path / "candles.csv")
    settings = SandboxSettings(candles=candles, replay_days=2, candles_per_second=candles_per_second)
    async with serve_exchange(settings, home=tmp_path, host="127.0.0.1", port=0) as handle:
        yield handle


def elsewhere(url: str, *assignments: str) -> list[str]:
    moved = [f"trendbot.exchange.rest_url={url}", f"trendbot.exchange.stream_url={url.replace('http', 'ws')}"]
    return ["sandbox.enabled=false", *moved, *assignments]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
async def test_each_example_passes_with_nothing_but_its_hosts_replaced(file: Path, tmp_path: Path) -> None:
    async with sandbox(tmp_path) as handle:
        settings = load(file, elsewhere(handle.url))
        remark = await asyncio.to_thread(check_exchange, settings)
    assert f" at {handle.url} answers and lists {settings.trendbot.symbols[0]}; its time is 2017-07-1" in remark
    assert settings.trendbot.exchange.testnet == ("(test network)" in remark)


async def test_a_symbol_that_is_not_listed_is_named_beside_those_that_are(settings_with: Load, tmp_path: Path) -> None:
    async with sandbox(tmp_path) as handle:
        settings = settings_with(*elsewhere(handle.url, "trendbot.symbols=[BTC/USD]"))
        with pytest.raises(DataError, match="bybit lists no 'BTC/USD'; it lists BTC/USDT:USDT"):
            await asyncio.to_thread(check_exchange, settings)


async def test_a_closed_market_is_named(settings_with: Load, tmp_path: Path) -> None:
    async with sandbox(tmp_path, candles_per_second=1000) as handle, asyncio.timeout(WAIT_SECONDS):
        handle.exchange.run()
        while not handle.exchange.replay.over:
            await asyncio.sleep(0.01)
        with pytest.raises(SetupError, match="lists BTC/USDT:USDT as closed: nothing can be traded there now"):
            await asyncio.to_thread(check_exchange, settings_with(*elsewhere(handle.url)))


def test_an_exchange_that_nobody_answers_for_is_named_with_what_to_do(settings_with: Load) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(SetupError) as raised:
        check_exchange(settings_with(*elsewhere(url)))
    assert str(raised.value).startswith(f"bybit at {url} does not answer as it should (after 0.")
    assert str(raised.value).endswith("or leave it out with --offline")


def test_an_exchange_that_says_nothing_is_given_up_in_a_bounded_time(settings_with: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = settings_with(*elsewhere(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(SetupError, match=r"after 0\.\d s, TimeoutError\)"):
            check_exchange(settings, timeout_seconds=0.3)


def test_a_sandbox_that_does_not_run_is_in_order_unless_it_would_not_list_the_symbol(settings_with: Load) -> None:
    assert check_exchange(settings_with()) == "the sandbox's, which does not run now"
    with pytest.raises(SetupError) as raised:
        check_exchange(settings_with("trendbot.symbols=[BTC/USDT:USDT, ETH/USDT:USDT]"))
    assert str(raised.value) == (
        "trendbot.symbols names ETH/USDT:USDT, and the sandbox would list BTCUSDT only; see sandbox.symbols"
    )


def test_a_clock_that_is_far_off_is_named_in_its_direction() -> None:
    refuse_other_time("bybit", theirs=MarketTime(1_000.0), ours=WallTime(1_004.9))
    with pytest.raises(SetupError) as raised:
        refuse_other_time("bybit", theirs=MarketTime(1_000.0), ours=WallTime(1_090.0))
    assert str(raised.value) == (
        "this machine's clock is 90 s ahead of that of bybit; set it by NTP (timedatectl set-ntp true)"
    )
    with pytest.raises(SetupError, match="clock is 7,200 s behind that of bybit"):
        refuse_other_time("bybit", theirs=MarketTime(8_200.0), ours=WallTime(1_000.0))


def test_the_clock_is_compared_where_the_exchange_is_asked_itself(
    settings_with: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nightdesk.check import exchange as module

    async def answer(settings: Settings, *, clock: object, timeout_seconds: float) -> object:
        return module._Answer(theirs=MarketTime(1_000.0), ours=WallTime(2_000.0), closed=frozenset())

    monkeypatch.setattr(module, "_ask", answer)
    with pytest.raises(SetupError, match="1,000 s ahead"):
        check_exchange(settings_with("sandbox.enabled=false"))
