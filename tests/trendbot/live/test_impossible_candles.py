"""Candles that cannot be true: set aside for their symbol alone, and a backtest that is told of them equals the bot."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.live.set_aside import SetAsideCandle, set_aside
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.settings import PortfolioSettings, TrendbotSettings

from tests.campaigns import SEED, cases
from tests.trendbot.conftest import COUNT, FIRST, HOUR, MakeParts, Trade, make_candles
from tests.trendbot.corruption import CORRUPTIONS, MOVED, Row
from tests.trendbot.live.against_backtest import assert_same_as_backtest, backtest_of, blocked_in
from tests.trendbot.live.parts import forget
from tests.trendbot.replay import OTHER, SYMBOL, Replay

STOP = FIRST + 120
pytestmark = pytest.mark.usefixtures("no_waits")


@pytest.fixture
def both(both: TrendbotSettings) -> TrendbotSettings:
    """Two symbols that leave each other all the room they want."""
    return both.model_copy(update={"portfolio": PortfolioSettings(correlation_threshold=1.0, leverage_cap=100.0)})


class Spoilt(Replay):
    """Tells of some hours of the second symbol what cannot be true: the first so many times that it is asked."""

    def __init__(
        self, markets: Markets, first: int, stop: int, *, wrong: Mapping[int, str], times: int = 10**9
    ) -> None:
        super().__init__(markets, first, stop)
        self.wrong = {int(self.times[hour]): name for hour, name in wrong.items()}
        self.left = Counter(dict.fromkeys(self.wrong, times))
        self.corrupt = self.spoil

    def spoil(self, symbol: str, rows: list[Row]) -> list[Any]:
        return rows if symbol != OTHER else list(self._spoilt(rows))

    def _spoilt(self, rows: list[Row]) -> Iterator[Any]:
        for row in rows:
            name = self.wrong.get(row[0] // 1000)
            # As it forms it may be right still.
            if name is None or row[0] // 1000 >= self.times[self.hour] or self.left[row[0] // 1000] <= 0:
                yield row
                continue
            self.left[row[0] // 1000] -= 1
            yield from (CORRUPTIONS | MOVED)[name](row)


def assert_same(parts: LiveParts, markets: Markets, model: MetaModel, *, stop: int) -> backtest.Run:
    """Hold the journal against a backtest that is told what was set aside, and what came too late."""
    aside = {
        symbol: [each.time.whole_seconds for each in kept] for symbol, kept in set_aside(parts.journal, markets).items()
    }
    return assert_same_as_backtest(parts, markets, model, stop=stop, blocked=blocked_in(parts), set_aside=aside)


def fates(run: backtest.Run, symbol: str) -> list[tuple[Any, ...]]:
    """Return all of a symbol's trades but for their sizes, which hang on the equity that all symbols share."""
    return [
        (trade.side, trade.entry_time, trade.entry_price, trade.exit_time, trade.exit_price, trade.exit_reason)
        for trade in run.trades
        if trade.symbol == symbol
    ]


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(cases(sample=3, campaign=150)))
async def test_whatever_rows_are_spoilt_only_their_candles_are_set_aside_and_the_other_symbol_trades_as_ever(
    number: int,
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    deployed: MetaModel,
) -> None:
    source = random.Random(SEED + number)
    hours = source.sample(range(FIRST + 1, STOP - 2), 14)
    wrong = {hour: source.choice(sorted(CORRUPTIONS)) for hour in hours}
    told = f"seed {SEED}, case {number}: {wrong}"
    parts = make_parts(both, guard=GuardSettings(enabled=False))
    middle = source.randrange(FIRST + 20, STOP - 20)
    await trade(parts, Spoilt(markets, FIRST, middle, wrong=wrong))
    parts.journal.close()
    parts = make_parts(both, guard=GuardSettings(enabled=False))
    # By now the exchange has put right what it told of some: that comes too late.
    still = {hour: name for hour, name in wrong.items() if hour >= middle - 1 or source.random() < 0.5}
    await trade(parts, Spoilt(markets, middle, STOP, wrong=still))

    kept = set_aside(parts.journal, both.symbols)
    assert kept[SYMBOL] == (), told
    assert [each.time.whole_seconds for each in kept[OTHER]] == sorted(
        int(markets[OTHER].time[hour]) for hour in hours
    ), told
    stop = int(markets[SYMBOL].time[STOP - 1])
    spoilt = assert_same(parts, markets, deployed, stop=stop)
    whole = backtest_of(parts, markets, deployed, stop=stop)
    assert fates(spoilt, SYMBOL) == fates(whole, SYMBOL), told
    assert fates(spoilt, SYMBOL), told
    snapshot = parts.exporter.snapshot
    assert not [key for key in snapshot.counters if key[0] == "instrumentation_errors"], told


@pytest.mark.parametrize("name", CORRUPTIONS | MOVED)
async def test_each_kind_of_impossible_candle_is_set_aside_named_and_goes_unmissed(
    name: str,
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
) -> None:
    parts, bad = make_parts(both), FIRST + 3
    await trade(parts, Spoilt(markets, FIRST, FIRST + 7, wrong={bad: name}))
    kept = set_aside(parts.journal, both.symbols)
    (found,) = kept[OTHER]
    assert isinstance(found, SetAsideCandle)
    assert found.time.whole_seconds == markets[OTHER].time[bad]
    assert found.reason
    # One that took the place of a candle that was known already is not seen: that there should be one, is.
    assert len(found.digest) == 16 or (name in MOVED and "the stream told of it" in found.reason)
    decided = {symbol: [record.time for record in parts.decisions.read(symbol=symbol)] for symbol in both.symbols}
    assert len(decided[SYMBOL]) == 6
    assert sorted({*decided[SYMBOL]} - {*decided[OTHER]}) == [found.time + HOUR]
    (issue,) = [issue for issue in parts.exporter.health().issues if issue.name == "candle_rejected"]
    assert issue.cause.startswith(f"{OTHER} 1h: the candle of ")
    assert issue.labels == {"symbol": OTHER, "timeframe": "1h"}


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_what_the_exchange_puts_right_while_it_is_asked_again_is_taken_as_it_is(
    times: int, make_parts: MakeParts, trade: Trade, both: TrendbotSettings, markets: Markets
) -> None:
    parts = make_parts(both)
    await trade(parts, Spoilt(markets, FIRST, FIRST + 7, wrong={FIRST + 3: "high below low"}, times=times))
    assert set_aside(parts.journal, both.symbols)[OTHER] == ()
    assert len(parts.decisions.read(symbol=OTHER)) == 6


async def test_a_bot_whose_only_symbol_is_spoilt_goes_on_and_its_position_waits_for_the_next_candle(
    make_parts: MakeParts,
    trade: Trade,
    eager: TrendbotSettings,
    deployed: MetaModel,
) -> None:
    market = {OTHER: make_candles(COUNT, seed=5)}
    settings = eager.model_copy(update={"symbols": (OTHER,)})
    first = make_parts(settings)
    await trade(first, Replay(market, FIRST, STOP))
    deal = first.journal.trades()[2]
    ends = int((deal.exit_time - market[OTHER].time[0]) // HOUR) - 1
    forget(first)
    parts = make_parts(settings)
    await trade(parts, Spoilt(market, FIRST, STOP, wrong={ends: "a negative price"}))
    stop = int(market[OTHER].time[STOP - 1])
    aside = {OTHER: [int(market[OTHER].time[ends])]}
    expected = backtest_of(parts, market, deployed, stop=stop, set_aside=aside)
    assert parts.journal.trades() == list(expected.trades)
    (same,) = [trade for trade in parts.journal.trades() if trade.entry_time == deal.entry_time]
    assert same.exit_time > deal.exit_time


async def test_a_history_some_of_which_is_impossible_is_begun_with_and_left_out_for_good(
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    deployed: MetaModel,
) -> None:
    wrong = {FIRST - 5: "open above high", FIRST - 60: "a time in words", FIRST - 90: "no price"}
    parts = make_parts(both)
    await trade(parts, Spoilt(markets, FIRST, FIRST + 60, wrong=wrong))
    named = [each.time.whole_seconds for each in set_aside(parts.journal, both.symbols)[OTHER]]
    assert named == [int(markets[OTHER].time[hour]) for hour in (FIRST - 90, FIRST - 5)]
    parts.journal.close()
    parts = make_parts(both)
    del wrong[FIRST - 90]
    await trade(parts, Spoilt(markets, FIRST + 60, STOP, wrong=wrong))
    lost = {OTHER: markets[OTHER].without([int(markets[OTHER].time[FIRST - 60])])}
    assert_same(parts, {**markets, **lost}, deployed, stop=int(markets[SYMBOL].time[STOP - 1]))
