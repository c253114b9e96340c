"""The exchange through ccxt: pages, tries again, and says what is wrong in the words of the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ccxt
import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.market.exchange import Exchange, open_exchange, persistently
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.settings import ExchangeSettings
from nightdesk_trendbot.signals.candles import Bar

from tests.trendbot.conftest import HOUR


class Client:
    """Answers as ccxt does, from candles at the hours in `held`."""

    id = "bybit"
    has: Mapping[str, bool] = {"fetchTime": True}

    def __init__(self, held: range | list[int] = range(0)) -> None:
        self.held = list(held)
        self.requests: list[tuple[int, int]] = []
        self.news: list[list[float | None]] = []

    async def fetch_ohlcv(self, _symbol: str, _timeframe: str, since: int, limit: int) -> list[list[float]]:
        self.requests.append((since // 1000 // HOUR, limit))
        found = [hour for hour in self.held if hour * HOUR * 1000 >= since][:limit]
        last = since // 1000 // HOUR + limit
        return [[hour * HOUR * 1000, 1, 2, 0.5, 1.5, 9] for hour in found if hour < last]

    async def load_markets(self, reload: bool = False) -> dict[str, Any]:
        return {"BTC/USDT:USDT": {"active": not reload}, "BTC/USDC:USDC": {}, "ETH/USDT:USDT": {}}

    async def fetch_time(self) -> int:
        return 1_571_302_800_500

    async def watch_ohlcv(self, _symbol: str, _timeframe: str) -> list[list[float | None]]:
        return self.news


class Listener:
    """Writes down how requests end."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def contact(self, channel: str) -> None:
        self.ended.append(channel)

    @contextmanager
    def request(self, what: str) -> Iterator[None]:
        try:
            yield
        except ccxt.BaseError as error:
            self.ended.append(f"{what}: {type(error).__name__}")
            raise
        self.ended.append(what)


async def hours(client: Client, start: int, stop: int) -> list[int]:
    told = await Exchange(client, SilentListener()).told(
        "S", "1h", start=start * HOUR, stop=stop * HOUR, interval_seconds=HOUR
    )
    assert told.rejected == ()
    return [bar.time // HOUR for bar in told.bars]


async def test_a_long_history_comes_page_by_page_each_candle_once() -> None:
    client = Client(range(5000))
    assert await hours(client, 100, 2700) == list(range(100, 2700))
    assert [since for since, _ in client.requests] == [100, 1099, 2098]


async def test_a_candle_that_was_forming_when_its_page_was_answered_is_asked_for_again() -> None:
    """Else a page that ends with it, and a next one that shows it to be over, would pass it off as complete."""

    class Moving(Client):
        async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> list[list[float]]:
            present = 5 + len(self.requests)
            self.held = list(range(present + 1))
            rows = await super().fetch_ohlcv(symbol, timeframe, since, limit)
            return [[*row[:4], 1.1 if row[0] == present * HOUR * 1000 else 1.5, 9] for row in rows]

    told = await Exchange(Moving(), SilentListener()).told(
        "S", "1h", start=3 * HOUR, stop=7 * HOUR, interval_seconds=HOUR
    )
    assert {bar.time // HOUR: bar.close for bar in told.bars} == {3: 1.5, 4: 1.5, 5: 1.5, 6: 1.1}


async def test_a_hole_longer_than_a_page_is_stepped_over() -> None:
    client = Client([*range(50), *range(3000, 3100)])
    assert await hours(client, 0, 3100) == [*range(50), *range(3000, 3100)]


class Behind(Client):
    """Fills its pages with what lies behind a hole, as exchanges do."""

    async def fetch_ohlcv(self, _symbol: str, _timeframe: str, since: int, limit: int) -> list[list[float]]:
        found = [hour for hour in self.held if hour * HOUR * 1000 >= since][:limit]
        return [[hour * HOUR * 1000, 1, 2, 0.5, 1.5, 9] for hour in found]


@pytest.mark.parametrize(
    ("latest", "reasons"), [(None, []), (53 * HOUR, ["opens at 1970-01-03T07:00:00Z, where none can"])]
)
async def test_what_opens_later_than_it_can_is_rejected_and_what_lies_behind_a_hole_is_not(
    latest: int | None, reasons: list[str]
) -> None:
    exchange = Exchange(Behind([*range(50), 55]), SilentListener())
    told = await exchange.told("S", "1h", start=0, stop=53 * HOUR, interval_seconds=HOUR, latest=latest)
    assert [bar.time // HOUR for bar in told.bars] == list(range(50))
    assert [row.reason for row in told.rejected] == reasons


async def test_the_candle_that_is_still_going_on_is_left_out() -> None:
    assert await hours(Client(range(100)), 90, 95) == [90, 91, 92, 93, 94]
    assert await hours(Client(range(10)), 90, 95) == []


class Funded(Client):
    """Settles every `every` hours, and answers with the newest or with the oldest page of what was asked for."""

    def __init__(self, every: int, *, newest: bool) -> None:
        super().__init__()
        self.every, self.newest = every, newest
        self.markets = {"S": {"swap": True}, "SPOT": {"swap": False}}

    async def fetch_funding_rate_history(
        self, _symbol: str, since: int, limit: int, params: dict[str, int]
    ) -> list[dict[str, Any]]:
        self.requests.append((since, limit))
        step = self.every * HOUR * 1000
        times = range(-(-since // step) * step, params["until"] + 1, step)
        page = times[-limit:] if self.newest else times[:limit]
        return [{"timestamp": time + 3, "fundingRate": time / 1e9} for time in page]


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("every", [1, 4, 8])
async def test_funding_comes_whole_however_often_it_is_settled_and_whichever_page_an_exchange_cuts(
    every: int, newest: bool
) -> None:
    client = Funded(every, newest=newest)
    stop = 3000 * HOUR
    rates = await Exchange(client, SilentListener()).funding("S", start=5 * HOUR, stop=stop, every_seconds=8 * HOUR)
    assert rates == {hour * HOUR: hour * HOUR / 1e6 for hour in range(-(-5 // every) * every, 3000, every)}
    assert len(client.requests) < 80


async def test_a_spot_market_has_no_funding_and_is_not_asked_for_it() -> None:
    client = Funded(8, newest=True)
    exchange = Exchange(client, SilentListener())
    assert await exchange.funding("SPOT", start=0, stop=HOUR, every_seconds=HOUR) == {}
    assert client.requests == []


async def test_requests_are_heard_of_however_they_end() -> None:
    listener = Listener()
    exchange = Exchange(Client(), listener)
    assert await exchange.now() == MarketTime(1_571_302_800.5)
    assert await exchange.open_markets(["BTC/USDT:USDT", "ETH/USDT:USDT"]) == {"ETH/USDT:USDT"}

    class Down(Client):
        async def fetch_time(self) -> int:
            raise ccxt.RequestTimeout("no answer")

    with pytest.raises(ccxt.RequestTimeout):
        await Exchange(Down(), listener).now()
    assert listener.ended == ["the time", "the markets", "the time: RequestTimeout"]


async def test_a_symbol_that_is_not_listed_is_named_beside_those_that_are() -> None:
    exchange = Exchange(Client(), SilentListener())
    await exchange.load(["BTC/USDT:USDT"])
    with pytest.raises(DataError) as raised:
        await exchange.load(["BTC/USDT:USDT", "BTC/EUR"])
    assert str(raised.value) == ("trendbot.symbols: bybit lists no 'BTC/EUR'; it lists BTC/USDC:USDC, BTC/USDT:USDT")


async def test_an_exchange_that_ccxt_does_not_know_is_a_data_error() -> None:
    with pytest.raises(DataError) as raised:
        async with open_exchange(ExchangeSettings(id="bybite"), SilentListener()):
            pass
    assert str(raised.value) == "trendbot.exchange.id: ccxt has no exchange 'bybite' with a stream"


async def test_a_job_may_use_an_exchange_that_has_no_stream_and_a_bot_may_not() -> None:
    history_only = ExchangeSettings(id="btcmarkets")
    async with open_exchange(history_only, SilentListener(), streaming=False) as exchange:
        exchange.offers("1h")
    with pytest.raises(DataError, match="ccxt has no exchange 'btcmarkets' with a stream"):
        async with open_exchange(history_only, SilentListener()):
            pass
    for unknown, message in (("bybite", "ccxt has no exchange 'bybite'"), ("zaif", "ccxt cannot fetch the candles")):
        with pytest.raises(DataError, match=f"^trendbot.exchange.id: {message}"):
            async with open_exchange(ExchangeSettings(id=unknown), SilentListener(), streaming=False):
                pass


@pytest.mark.parametrize("name", sorted(set(ccxt.exchanges) - {"zaif"}))
async def test_ccxt_s_client_of_every_exchange_can_be_made_without_a_stream_or_is_refused_by_name(name: str) -> None:
    try:
        async with open_exchange(ExchangeSettings(id=name), SilentListener(), streaming=False) as exchange:
            assert isinstance(exchange, Exchange)
    except DataError as error:
        assert str(error) == f"trendbot.exchange.id: ccxt cannot fetch the candles of {name!r}"  # noqa: PT017


async def test_every_address_moves_to_where_the_settings_say_and_keeps_its_path() -> None:
    moved = ExchangeSettings(rest_url="http://127.0.0.1:1", stream_url="ws://127.0.0.1:2")
    async with open_exchange(moved, SilentListener()) as exchange:
        api = exchange._client.urls["api"]

    def leaves(urls: Any) -> list[str]:
        return [leaf for inner in urls.values() for leaf in leaves(inner)] if isinstance(urls, dict) else [urls]

    assert api["ws"]["public"]["linear"] == "ws://127.0.0.1:2/v5/public/linear"
    assert {leaf.split("/")[2] for leaf in leaves(api)} == {"127.0.0.1:1", "127.0.0.1:2"}


async def test_network_errors_are_tried_again_and_others_are_not() -> None:
    calls: list[int] = []

    async def second_time() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise ccxt.RequestTimeout("no answer")
        return "answer"

    assert await persistently(second_time, "asking") == "answer"

    async def never() -> str:
        raise ccxt.RequestTimeout("no answer")

    with pytest.raises(DataError) as raised:
        await persistently(never, "asking for the time", tries=1)
    assert str(raised.value) == ("asking for the time: the exchange did not answer 1 times (RequestTimeout: no answer)")

    async def wrong() -> str:
        raise ccxt.BadSymbol("no such market")

    with pytest.raises(ccxt.BadSymbol):
        await persistently(wrong, "asking")


async def test_news_are_candles_and_a_sign_of_life() -> None:
    client, listener = Client(), Listener()
    client.news = [[HOUR * 1000.0, 1.0, 2.0, 0.5, 1.5, 9.0]]
    assert await Exchange(client, listener).watch("S", "1h") == [Bar(HOUR, 1.0, 2.0, 0.5, 1.5, 9.0)]
    assert listener.ended == ["ws"]


@pytest.mark.parametrize("lost", range(6))
async def test_a_candle_of_the_stream_that_lacks_a_number_is_no_news_and_no_sign_of_life(lost: int) -> None:
    client, listener = Client(), Listener()
    row: list[float | None] = [HOUR * 1000.0, 1.0, 2.0, 0.5, 1.5, 9.0]
    row[lost] = None
    client.news = [row]
    assert await Exchange(client, listener).watch("S", "1h") == []
    assert listener.ended == []


async def test_a_symbol_that_is_no_longer_listed_is_a_closed_market() -> None:
    exchange = Exchange(Client(), SilentListener())
    assert await exchange.open_markets(["LUNA/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT:USDT"]) == {"ETH/USDT:USDT"}
