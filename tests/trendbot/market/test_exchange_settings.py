"""What the settings may name as an exchange, and what is said where they name what there is not."""

from __future__ import annotations

import pytest
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.market.exchange import open_exchange
from nightdesk_trendbot.market.listener import SilentListener
from nightdesk_trendbot.settings import ExchangeSettings


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ExchangeSettings(id="bybite"), "trendbot.exchange.id: ccxt has no exchange 'bybite' with a stream"),
        (ExchangeSettings(id="bitstamp"), "trendbot.exchange.id: ccxt cannot stream the candles of 'bitstamp'"),
        (
            ExchangeSettings(id="bitfinex", testnet=True),
            "trendbot.exchange.testnet: ccxt knows no test network of 'bitfinex'",
        ),
    ],
    ids=lambda value: value.id if isinstance(value, ExchangeSettings) else None,
)
async def test_an_exchange_that_cannot_be_followed_is_named_by_its_key(
    settings: ExchangeSettings, problem: str
) -> None:
    with pytest.raises(DataError) as raised:
        async with open_exchange(settings, SilentListener()):
            pass
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("exchange", "testnet", "host"),
    [("binanceusdm", False, "fapi.binance.com"), ("binanceusdm", True, "testnet.binancefuture.com")],
)
async def test_the_test_network_is_asked_where_the_settings_say_so(exchange: str, testnet: bool, host: str) -> None:
    async with open_exchange(ExchangeSettings(id=exchange, testnet=testnet), SilentListener()) as opened:
        assert opened._client.urls["api"]["fapiPublic"] == f"https://{host}/fapi/v1"
