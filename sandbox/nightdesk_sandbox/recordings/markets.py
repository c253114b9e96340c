"""The candles of all markets that the settings name, brought to end together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from loguru import logger
from nightdesk_core.clock import iso
from nightdesk_core.units import DAY_SECONDS

from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.false_breakouts import Spell, with_false_breakouts
from nightdesk_sandbox.recordings.sample import load_symbol
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.settings import SandboxSettings


def load_markets(settings: SandboxSettings, *, home: Path) -> dict[str, RecordedCandles]:
    """Return the candles of each symbol, in the settings' order. Raises `CandlesError`.

    The samples are of different years. Those of the first symbol keep their times; each other market's are moved by
    whole hours so that its last candle ends with the first market's. Its weekends then fall on other days of the week.
    Where the settings name a spell of false breakouts, it comes over every market.
    """
    loaded: dict[str, RecordedCandles] = {
        symbol: load_symbol(symbol, settings, home=home) for symbol in settings.symbols
    }
    first, *others = loaded
    for symbol in others:
        seconds = loaded[first].end - loaded[symbol].end
        loaded[symbol] = replace(loaded[symbol], time=loaded[symbol].time + seconds)
        logger.info(
            "{}'s candles are moved by {:+.2f} days, so that they end with {}'s", symbol, seconds / DAY_SECONDS, first
        )
    spell = false_breakouts(settings, loaded[first])
    if spell is None:
        return loaded
    until = "the end" if math.isinf(spell.end) else iso(spell.end)
    logger.warning("not the real market: {:.0%} of breakouts fail from {} to {}", spell.share, iso(spell.start), until)
    return {symbol: with_false_breakouts(candles, spell) for symbol, candles in loaded.items()}


def false_breakouts(settings: SandboxSettings, first: RecordedCandles) -> Spell | None:
    """Return the spell that the settings name, if any, in a replay that the candles of the `first` market set."""
    chosen = settings.false_breakouts
    if chosen.share == 0:
        return None
    start = replay_start(first, settings.replay_days) + chosen.from_day * DAY_SECONDS
    end = math.inf if chosen.days is None else start + chosen.days * DAY_SECONDS
    return Spell(start=start, end=end, share=chosen.share)
