"""What an operator closes by hand: once, in the books as a trade, whatever happens as the bot carries it out."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import pytest
from nightdesk_core.clock import MarketTime
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_trendbot.engine.state import equity
from nightdesk_trendbot.live.bot import LiveBot
from nightdesk_trendbot.live.close_orders import CloseOrders, close_outcomes
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings

from tests.trendbot.conftest import FIRST, HOUR, MakeParts, Trade
from tests.trendbot.live.orders import order_close, state_of
from tests.trendbot.replay import OTHER, Replay

pytestmark = pytest.mark.usefixtures("no_waits")


async def test_a_bot_that_is_killed_anywhere_in_carrying_out_an_order_does_so_once(
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    deployed: MetaModel,
    held: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    deployed: MetaModel,
    held: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    make_parts: MakeParts, trade: Trade, both: TrendbotSettings, markets: Markets, held: int
) -> None:
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
    make_parts: MakeParts, both: TrendbotSettings
) -> None:
    orders = CloseOrders(make_parts(both).state_dir)
    orders.path.write_text('[{"price": -1')
    assert orders.waiting() == ()
    assert not orders.path.exists()
    assert len(list(orders.path.parent.glob("close_orders.json.damaged-*"))) == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_the_bot_waits_for_nobody_who_holds_the_lock_of_the_orders(damaged: bool, tmp_path: Path) -> None:
    orders = CloseOrders(tmp_path)
    order = orders.give(OTHER, entry_time=MarketTime(1), price=1.0, reason="a test", actor="ann")
    with locked(tmp_path / "close_orders.lock", timeout_seconds=0):
        begun = monotonic()
        if damaged:
            orders.path.write_text("nonsense")
            with pytest.raises(LockTimeoutError):
                orders.waiting()
        else:
            assert orders.waiting() == (order,)
        with pytest.raises(LockTimeoutError):
            orders.forget(order)
        assert monotonic() - begun < 0.5
    if not damaged:
        orders.forget(order)
    assert orders.waiting() == ()


async def test_the_newest_order_for_a_position_counts(make_parts: MakeParts, both: TrendbotSettings) -> None:
    orders = CloseOrders(make_parts(both).state_dir)
    for price in (5.0, 6.0):
        orders.give(OTHER, entry_time=MarketTime(HOUR), price=price, reason="r", actor="ann")
    assert [order.price for order in orders.waiting()] == [6.0]


@pytest.mark.parametrize("price", [-1.0, 0.0, 1e308])
async def test_an_order_at_a_price_that_is_none_is_set_aside_and_stops_no_bot(
    price: float,
    make_parts: MakeParts,
    trade: Trade,
    both: TrendbotSettings,
    markets: Markets,
    deployed: MetaModel,
    held: int,
) -> None:
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
