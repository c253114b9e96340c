"""Names, symbols and timeframes of a bot: what is one, and what is refused with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from nightdesk_core.markets import bot_name, markets, timeframe_seconds

HOURLY = [("BTC/USDT", "1h"), ("ETH/USDT", "1h")]


@pytest.mark.parametrize(
    ("symbols", "timeframe", "found"),
    [
        (HOURLY, None, HOURLY),
        (["BTC/USDT", "ETH/USDT"], "1h", HOURLY),
        (("BTC/USDT", ("ETH/USDT", "5m")), "1h", [("BTC/USDT", "1h"), ("ETH/USDT", "5m")]),
        ([["BTC/USDT", "1h"]], None, HOURLY[:1]),
        ((symbol for symbol in ["BTC/USDT"]), "1h", HOURLY[:1]),
        ({"BTC/USDT": "1h"}.items(), None, HOURLY[:1]),
        ([], None, []),
        ([], "1h", []),
    ],
)
def test_symbols_are_pairs_or_share_a_timeframe(symbols: Any, timeframe: Any, found: Any) -> None:
    assert markets(symbols, timeframe) == found


@pytest.mark.parametrize(
    ("symbols", "timeframe", "message"),
    [
        ("BTC/USDT", "1h", "pass a list"),
        (None, None, r"or \[\] for no candles"),
        (5, "1h", "pass a list"),
        (["BTC/USDT"], None, 'has no timeframe; pass \\("BTC/USDT", "1h"\\), or timeframe="1h" for all'),
        (("BTC/USDT", "1h"), None, "has no timeframe"),
        ([("BTC/USDT",)], "1h", "no pair of symbol and timeframe"),
        ([("BTC/USDT", "1h", "5m")], None, "no pair of symbol and timeframe"),
        ([5], "1h", "no pair of symbol and timeframe"),
        ([("", "1h")], None, "pass 1 to 100 characters"),
        ([(b"BTC", "1h")], None, "is not a symbol"),
        (["BTC\nUSDT"], "1h", "on one line"),
        (["BTC/USDT"], "60", "no timeframe; write it as 1m"),
        (["BTC/USDT"], 60, "no timeframe; write it as 1m"),
    ],
)
def test_what_is_no_market_is_refused_with_what_is_allowed(symbols: Any, timeframe: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        markets(symbols, timeframe)


@pytest.mark.parametrize("name", ["mine", "btc-1h_v2", "Mein Bot", "größer", "x" * 100, "a.b"])
def test_a_name_that_can_be_seen_is_one(name: str) -> None:
    assert bot_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " a",
        "a ",
        "a\nb",
        "a\x1b[2J",
        "a\u202eb",
        "\ud800",
        "x" * 101,
        "../a",
        "a/b",
        "a\\b",
        ".",
        None,
        5,
        b"a",
    ],
)
def test_a_name_that_can_be_none_is_refused_with_what_is_allowed(name: Any) -> None:
    with pytest.raises(ValueError, match="pass 1 to 100 characters that can be seen"):
        bot_name(name)


@pytest.mark.parametrize(
    ("timeframe", "seconds"), [("1s", 1), ("15m", 900), ("1h", 3600), ("1d", 86_400), ("1w", 604_800)]
)
def test_a_timeframe_is_so_many_seconds(timeframe: str, seconds: int) -> None:
    assert timeframe_seconds(timeframe) == seconds


@pytest.mark.parametrize("timeframe", ["", "1", "h", "0h", "01h", "1H", "1.5h", "-1h", "1h ", "100000m", None, 60])
def test_what_is_no_timeframe_is_refused(timeframe: Any) -> None:
    with pytest.raises(ValueError, match="is no timeframe"):
        timeframe_seconds(timeframe)
