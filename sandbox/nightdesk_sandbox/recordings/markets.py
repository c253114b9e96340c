"""The candles of all markets that the settings name, brought to end together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from loguru import logger
from nightdesk_core.clock import iso
from nightdesk_core.units import DAY_SECONDS

from nightdesk_sandbox.errors import CandlesError
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.recordings.false_breakouts import Spell, with_false_breakouts
from nightdesk_sandbox.recordings.files.reader import CandleFileRead, read_candles
from nightdesk_sandbox.recordings.sample import SAMPLES, load_sample
from nightdesk_sandbox.replay import replay_start
from nightdesk_sandbox.settings import SandboxSettings


def read_own_candles(settings: SandboxSettings, *, home: Path) -> dict[str, CandleFileRead]:
    """Return what the files of your own hold, by symbol. Raises `CandlesError`, also where two have no hour in common.

    Nothing is fetched for it.
    """
    files = settings.candles
    found = {symbol: read_candles(files[symbol], home=home) for symbol in settings.symbols if symbol in files}
    first = settings.symbols[0]
    if first in found:
        for symbol, read in found.items():
            _refuse_apart(settings, first, found[first].candles, symbol, read.candles)
    return found


def load_markets(settings: SandboxSettings, *, home: Path) -> dict[str, RecordedCandles]:
    """Return the candles of each symbol, in the settings' order. Raises `CandlesError`.

    Files of your own keep their times, and end with the first market at the latest. The samples are of different
    years: where one is not the first market, it is moved by whole hours so that it ends with the first. Its weekends
    then fall on other days of the week. Where the settings name a spell of false breakouts, it comes over every market.
    """
    own = read_own_candles(settings, home=home)
    for symbol, read in own.items():
        (logger.warning if read.warnings else logger.info)("{}: {}", symbol, read)
    loaded = {
        symbol: own[symbol].candles if symbol in own else load_sample(SAMPLES[symbol], folder=home / settings.cache_dir)
        for symbol in settings.symbols
    }
    first, *others = loaded
    for symbol in others:
        if symbol in own:
            _refuse_apart(settings, first, loaded[first], symbol, loaded[symbol])
            loaded[symbol] = loaded[symbol].until(loaded[first].end)
            continue
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


def _refuse_apart(
    settings: SandboxSettings, first: str, candles: RecordedCandles, symbol: str, other: RecordedCandles
) -> None:
    """Raise `CandlesError` where a market has nothing to show in the replay that the first market's candles set."""
    start = replay_start(candles, settings.replay_days)
    inside = other.until(candles.end)
    if len(inside) >= 2 and inside.end > start:
        return
    raise CandlesError(
        str(settings.candles[symbol].file),
        f"its candles of {symbol} go from {iso(int(other.time[0]))} to {iso(other.end)}, and the replay, which "
        f"{first}'s set, from {iso(start)} to {iso(candles.end)}: they have no hour in common; take a file of the same "
        "span, or name another market first in sandbox.symbols",
    )


def false_breakouts(settings: SandboxSettings, first: RecordedCandles) -> Spell | None:
    """Return the spell that the settings name, if any, in a replay that the candles of the `first` market set."""
    chosen = settings.false_breakouts
    if chosen.share == 0:
        return None
    start = replay_start(first, settings.replay_days) + chosen.from_day * DAY_SECONDS
    end = math.inf if chosen.days is None else start + chosen.days * DAY_SECONDS
    return Spell(start=start, end=end, share=chosen.share)
