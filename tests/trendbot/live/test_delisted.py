"""A symbol that ceases to exist, or that the settings no longer name: what was open is closed, the others trade on."""

from __future__ import annotations

from typing import Any

import pytest
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.live.close_orders import CloseOrder, CloseOrders, close_outcomes
from nightdesk_trendbot.live.decision_log import CLOSED_BY_OPERATOR
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings

from tests.trendbot.conftest import FIRST, STOP, MakeParts, Trade
from tests.trendbot.live.against_backtest import assert_same_as_backtest
from tests.trendbot.live.orders import order_close, state_of
from tests.trendbot.replay import OTHER, SYMBOL, Replay

AUDITED = "position_closed_by_operator"
pytestmark = pytest.mark.usefixtures("no_waits")


class Delisting(Replay):
    """The second market is gone from an hour on."""

    def __init__(self, markets: Markets, first: int, stop: int, *, gone_from: int) -> None:
        super().__init__(markets, first, stop)
        self.gone_from = gone_from

    @property
    def gone(self) -> bool:
        return self.hour >= self.gone_from

    def unlisted(self, symbols: Any) -> frozenset[str]:
        return frozenset({OTHER} & {*symbols}) if self.gone else frozenset()

    def forming(self, symbol: str) -> Any:
        return None if symbol == OTHER and self.gone else super().forming(symbol)

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> list[Any]:
        rows = await super().fetch_ohlcv(symbol, timeframe, since, limit)
        ends = int(self.times[self.gone_from]) * 1000
        return [row for row in rows if symbol != OTHER or row[0] < ends]


@pytest.mark.parametrize("running", [True, False])
async def test_a_delisted_symbol_s_position_is_closed_by_the_operator_once_and_the_other_trades_on_as_in_the_backtest(
    running: bool,
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    deployed: MetaModel,
    held: int,
) -> None:
    parts = make_parts(both)
    gone = held
    replay = Delisting(markets, FIRST, STOP if running else gone + 5, gone_from=gone)
    ordered: list[CloseOrder] = []

    def order_later(hour: int) -> None:
        if hour == gone + 4 and not ordered:
            issues = {issue.name: issue for issue in parts.exporter.health().issues}
            assert issues["symbol_unlisted"].labels == {"symbol": OTHER}
            ordered.append(order_close(parts))

    replay.on_hour = order_later
    await trade(parts, replay)
    if not running:
        parts.journal.close()
        parts = make_parts(both)
        await trade(parts, Delisting(markets, gone + 5, STOP, gone_from=gone))
    (outcome,) = close_outcomes(parts.journal)
    assert (outcome.order, outcome.refused) == (ordered[0], "")
    assert CloseOrders(parts.state_dir).waiting() == ()
    (closed,) = [each for each in parts.journal.trades() if each.exit_reason == "operator"]
    price = ordered[0].price
    assert (closed.symbol, closed.exit_price, closed.exit_time) == (OTHER, price, outcome.time.seconds)
    # Its last hour was over when it was gone, and nobody tells of it any more.
    ended = {OTHER: markets[OTHER].before(int(markets[OTHER].time[gone - 1]))}
    stop = int(markets[SYMBOL].time[STOP - 1])
    closes = {outcome.time.whole_seconds: {OTHER: price}}
    assert_same_as_backtest(parts, {**markets, **ended}, deployed, stop=stop, closed=closes)
    assert [each for each in parts.journal.trades() if each.symbol == SYMBOL and each.entry_time > closed.exit_time]
    (decision,) = [each for each in parts.decisions.read() if each.outcome == CLOSED_BY_OPERATOR]
    assert (decision.symbol, decision.close, decision.time) == (OTHER, price, outcome.time)
    # Told at least once: where the bot ended before it could note that, it is owed still.
    notices = [each.content for each in parts.journal.outbox() if each.content.get("event") == AUDITED]
    told = [*(entry.details for entry in parts.audit.entries() if entry.event == AUDITED)]
    told += [content["details"] for content in notices]
    assert {(each["actor"], each["reason"], each["price"]) for each in told} == {("ann", "delisted", price)}


async def test_a_symbol_that_the_settings_no_longer_name_keeps_its_barriers_and_is_not_entered_anew(
    make_parts: MakeParts, trade: Trade, both: TrendbotSettings, markets: Markets, held: int
) -> None:
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, held + 1))
    account = state_of(parts).books[OTHER].account
    parts.journal.close()
    alone = both.model_copy(update={"symbols": (SYMBOL,)})
    parts = make_parts(alone)
    await trade(parts, Replay(markets, held + 1, STOP))
    ours = [each for each in parts.journal.trades() if each.symbol == OTHER]
    (closed,) = [each for each in ours if each.exit_time > markets[OTHER].time[held]]
    assert closed.entry_time == account.entry_time
    assert closed.exit_reason in ("target", "stop", "time")
    assert [each for each in parts.journal.trades() if each.symbol == SYMBOL and each.exit_time > closed.exit_time]
    earned = state_of(parts).cash
    assert earned == pytest.approx(alone.initial_equity + sum(each.profit for each in ours))


async def test_a_delisted_symbol_that_the_settings_no_longer_name_waits_for_the_operator_and_stops_nobody(
    make_parts: MakeParts, trade: Trade, both: TrendbotSettings, markets: Markets, held: int
) -> None:
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, held + 1))
    account = state_of(parts).books[OTHER].account
    parts.journal.close()
    parts = make_parts(both.model_copy(update={"symbols": (SYMBOL,)}))
    await trade(parts, Delisting(markets, held + 1, STOP, gone_from=held))
    assert state_of(parts).books[OTHER].account == account
    assert [each for each in parts.journal.trades() if each.symbol == SYMBOL and each.exit_time > account.entry_time]
    (issue,) = [issue for issue in parts.exporter.health().issues if issue.name == "symbol_unlisted"]
    assert issue.verdict.value == "unhealthy"


async def test_where_no_symbol_is_listed_and_nothing_is_held_the_settings_are_wrong(
    make_parts: MakeParts,
    trade: Trade,
    eager: TrendbotSettings,
    markets: Markets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_self: Replay, symbols: tuple[str, ...]) -> None:
        raise DataError(f"lists no {symbols[0]!r}")

    monkeypatch.setattr(Replay, "refuse_unlisted", refuse, raising=False)
    parts = make_parts(eager.model_copy(update={"symbols": ("TYPO/USDT",)}))
    with pytest.raises(DataError, match="lists no 'TYPO/USDT'"):
        await trade(parts, Replay(markets, FIRST, STOP))
