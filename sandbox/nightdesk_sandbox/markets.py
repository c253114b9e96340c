"""The candles of all markets that the settings name, brought to end together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loguru import logger

from nightdesk_sandbox.candles import Candles
from nightdesk_sandbox.replay import DAY_SECONDS
from nightdesk_sandbox.sample import load_symbol
from nightdesk_sandbox.settings import SandboxSettings


def load_markets(settings: SandboxSettings, *, home: Path) -> dict[str, Candles]:
    """Return the candles of each symbol, in the settings' order. Raises `CandlesError`.

    The samples are of different years. Those of the first symbol keep their times; each other market's are moved by
    whole hours so that its last candle ends with the first market's. Its weekends then fall on other days of the week.
    """
    loaded: dict[str, Candles] = {symbol: load_symbol(symbol, settings, home=home) for symbol in settings.symbols}
    first, *others = loaded
    for symbol in others:
        seconds = loaded[first].end - loaded[symbol].end
        loaded[symbol] = replace(loaded[symbol], time=loaded[symbol].time + seconds)
        logger.info(
            "{}'s candles are moved by {:+.2f} days, so that they end with {}'s", symbol, seconds / DAY_SECONDS, first
        )
    return loaded
