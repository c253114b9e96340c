"""What an operator closes by hand: once, in the books as a trade, and told to a backtest; and what is delisted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.models.pipeline import DataError
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_trendbot.engine.state import EngineState, equity
from nightdesk_trendbot.live import history
from nightdesk_trendbot.live.bot import LiveBot
from nightdesk_trendbot.live.close_orders import CloseOrder, CloseOrders, close_outcomes
from nightdesk_trendbot.live.decision_log import CLOSED_BY_OPERATOR
from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.live.stored_market import restored
from nightdesk_trendbot.market import feed
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles

from tests.trendbot.conftest import COUNT, FIRST, HOUR, STOP, make_candles, publish
from tests.trendbot.replay import FUNDING, OTHER, SYMBOL, Replay

Trade = Callable[[LiveParts, Replay], Any]
AUDITED = "position_closed_by_operator"


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "backoff_seconds", lambda *_, **__: 0.0)
    monkeypatch.setattr(history, "FIRST_WAIT_SECONDS", 0.0)


@pytest.fixture(scope="session")
def markets(candles: Candles) -> Markets:
    return {SYMBOL: candles, OTHER: make_candles(COUNT, seed=5)}


@pytest.fixture
def both(eager: TrendbotSettings) -> TrendbotSettings:
    return eager.model_copy(update={"symbols": (SYMBOL, OTHER)})


@pytest.fixture
def version(registry: ModelRegistry, model: MetaModel) -> str:
    found = publish(registry, model)
    registry.promote(found, standing="champion", instead_of=None)
    return found


def state_of(parts: LiveParts) -> EngineState:
    found = restored(parts.journal, parts.tuning.trendbot)
    assert found is not None
    return found


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


def hour_held(parts: LiveParts, markets: Markets) -> int:
    """Return an hour at whose beginning a confirmed position in the second symbol is open."""
    deal = next(
        trade
        for trade in parts.journal.trades()
        if trade.symbol == OTHER and trade.exit_time > trade.entry_time + 5 * HOUR
    )
    return int((deal.entry_time - int(markets[OTHER].time[0])) // HOUR) + 3


async def whole_run(
    make_parts: Callable[..., LiveParts], trade: Trade, both: TrendbotSettings, markets: Markets
) -> int:
    """Return such an hour by running once through all of it, and leave nothing behind."""
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, STOP))
    hour = hour_held(parts, markets)
    parts.journal.close()
    for path in parts.state_dir.glob("btc*"):
        path.unlink()
    return hour


def order_close(parts: LiveParts) -> CloseOrder:
    """Order the close of the second symbol's position, a little below its last price."""
    book = state_of(parts).books[OTHER]
    assert book.account.side != 0
    entered, price = MarketTime(book.account.entry_time), round(book.mark * 0.99, 2)
    return CloseOrders(parts.state_dir).give(OTHER, entry_time=entered, price=price, reason="delisted", actor="ann")


@pytest.mark.parametrize("running", [True, False])
async def test_a_delisted_symbol_s_position_is_closed_by_the_operator_once_and_the_other_trades_on_as_in_the_backtest(
    running: bool,
    make_parts: Callable[..., LiveParts],
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    version: str,
    model: MetaModel,
) -> None:
    gone = await whole_run(make_parts, trade, both, markets)
    parts = make_parts(both)
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
    settled = {int(moment): FUNDING for moment in markets[SYMBOL].time if moment % (8 * HOUR) == 0}
    expected = backtest.run(
        {symbol: candles.with_funding(settled) for symbol, candles in {**markets, **ended}.items()},
        both,
        start=float(markets[SYMBOL].time[FIRST]),
        end=int(markets[SYMBOL].time[STOP - 1]),
        deployments=[(0, Deployment(replace(model, version=version)))],
        guard=parts.tuning.performance,
        flat_at_end=False,
        closed={outcome.time.whole_seconds: {OTHER: price}},
    )
    assert parts.journal.trades() == list(expected.trades)
    points = [(time.seconds, value) for time, value in parts.journal.equity()]
    assert points == list(zip(expected.close_time, expected.equity, strict=True))
    assert parts.journal.transitions() == list(expected.transitions)
    assert [each for each in parts.journal.trades() if each.symbol == SYMBOL and each.entry_time > closed.exit_time]
    (decision,) = [each for each in parts.decisions.read() if each.outcome == CLOSED_BY_OPERATOR]
    assert (decision.symbol, decision.close, decision.time) == (OTHER, price, outcome.time)
    # Told at least once: where the bot ended before it could note that, it is owed still.
    notices = [each.content for each in parts.journal.outbox() if each.content.get("event") == AUDITED]
    told = [*(entry.details for entry in parts.audit.entries() if entry.event == AUDITED)]
    told += [content["details"] for content in notices]
    assert {(each["actor"], each["reason"], each["price"]) for each in told} == {("ann", "delisted", price)}


async def test_a_bot_that_is_killed_anywhere_in_carrying_out_an_order_does_so_once(
    make_parts: Callable[..., LiveParts],
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = await whole_run(make_parts, trade, both, markets)
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, held + 1))
    before = state_of(parts)
    price = order_close(parts).price
    steps = ("record_close", "keep_outcome", "forget")
    for killed_in in steps:
        with monkeypatch.context() as patched:

            def killed(*_: object, **__: object) -> None:
                raise KeyboardInterrupt

            place = "close_orders.CloseOrders" if killed_in == "forget" else "operator"
            patched.setattr(f"nightdesk_trendbot.live.{place}.{killed_in}", killed)
            bot = LiveBot(parts)
            with pytest.raises(KeyboardInterrupt):
                bot._report_standing()
        trades = [each for each in parts.journal.trades() if each.exit_reason == "operator"]
        assert len(trades) == (killed_in == "forget")
    LiveBot(parts)._report_standing()
    (closed,) = [each for each in parts.journal.trades() if each.exit_reason == "operator"]
    after = state_of(parts)
    assert after.books[OTHER].account.side == 0
    moved = before.books[OTHER].account.side * closed.quantity * (price - before.books[OTHER].mark)
    fee = closed.quantity * price * both.costs.fee_ratio
    assert after.equity == pytest.approx(before.equity + moved - fee)
    assert after.equity == pytest.approx(equity(after, {}))
    assert after.guard == before.guard


@pytest.mark.parametrize("breaks", ["order", "report"])
async def test_an_order_that_cannot_be_carried_out_leaves_the_one_before_it_closed_in_memory_too(
    breaks: str,
    make_parts: Callable[..., LiveParts],
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = await whole_run(make_parts, trade, both, markets)
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, held + 1))
    order_close(parts)
    CloseOrders(parts.state_dir).give("NONE/USDT", entry_time=MarketTime(HOUR), price=1.0, reason="r", actor="ann")
    bot = LiveBot(parts)

    def failed(*_: object) -> None:
        raise OSError("the disk")

    with monkeypatch.context() as patched:
        patched.setattr(bot._operator, *{"order": ("_refuse", failed), "report": ("_announce", failed)}[breaks])
        with pytest.raises(OSError, match="the disk"):
            bot._enforce_kill_switch()
    assert bot._state == state_of(parts)
    assert bot._state.books[OTHER].account.side == 0
    bot._enforce_kill_switch()
    assert len([each for each in parts.journal.trades() if each.exit_reason == "operator"]) == 1
    assert CloseOrders(parts.state_dir).waiting() == ()


async def test_an_order_for_a_position_that_is_gone_is_refused_and_said_so(
    make_parts: Callable[..., LiveParts], trade: Trade, both: TrendbotSettings, markets: Markets, version: str
) -> None:
    held = await whole_run(make_parts, trade, both, markets)
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, held + 1))
    account = state_of(parts).books[OTHER].account
    orders = CloseOrders(parts.state_dir)
    for symbol, entry_time in [(OTHER, account.entry_time - HOUR), ("NONE/USDT", account.entry_time)]:
        orders.give(symbol, entry_time=MarketTime(entry_time), price=1.0, reason="late", actor="ann")
    LiveBot(parts)._report_standing()
    assert [each.refused for each in close_outcomes(parts.journal)] == ["that position is not open any more"] * 2
    assert state_of(parts).books[OTHER].account == account
    assert orders.waiting() == ()


async def test_a_damaged_file_of_orders_is_set_aside_and_closes_nothing(
    make_parts: Callable[..., LiveParts], both: TrendbotSettings
) -> None:
    orders = CloseOrders(make_parts(both).state_dir)
    orders.path.write_text('[{"price": -1')
    assert orders.waiting() == ()
    assert not orders.path.exists()
    assert len(list(orders.path.parent.glob("close_orders.json.damaged-*"))) == 1


async def test_the_newest_order_for_a_position_counts(
    make_parts: Callable[..., LiveParts], both: TrendbotSettings
) -> None:
    orders = CloseOrders(make_parts(both).state_dir)
    for price in (5.0, 6.0):
        orders.give(OTHER, entry_time=MarketTime(HOUR), price=price, reason="r", actor="ann")
    assert [order.price for order in orders.waiting()] == [6.0]


async def test_a_symbol_that_the_settings_no_longer_name_keeps_its_barriers_and_is_not_entered_anew(
    make_parts: Callable[..., LiveParts], trade: Trade, both: TrendbotSettings, markets: Markets, version: str
) -> None:
    held = await whole_run(make_parts, trade, both, markets)
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
    make_parts: Callable[..., LiveParts], trade: Trade, both: TrendbotSettings, markets: Markets, version: str
) -> None:
    held = await whole_run(make_parts, trade, both, markets)
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
    make_parts: Callable[..., LiveParts],
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


@pytest.mark.parametrize("price", [-1.0, 0.0, 1e308])
async def test_an_order_at_a_price_that_is_none_is_set_aside_and_stops_no_bot(
    price: float,
    make_parts: Callable[..., LiveParts],
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    version: str,
) -> None:
    held = await whole_run(make_parts, trade, both, markets)
    parts = make_parts(both)
    await trade(parts, Replay(markets, FIRST, held + 1))
    before = state_of(parts)
    order = order_close(parts)
    orders = CloseOrders(parts.state_dir)
    orders.path.write_text(orders.path.read_text().replace(f"{order.price}", f"{price}"))
    LiveBot(parts)._report_standing()
    assert not parts.exporter.snapshot.kill_switch
    assert state_of(parts) == before
    assert close_outcomes(parts.journal) == ()
    assert len(list(orders.path.parent.glob("close_orders.json.damaged-*"))) == 1
    with pytest.raises(ValueError, match="is no price"):
        orders.give(OTHER, entry_time=order.entry_time, price=price, reason="a slip", actor="ann")
