"""Deposits and withdrawals of a guarded account: each ratio is what it would be had the account been scaled."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from nightdesk_core.clock import utc
from nightdesk_guard import GuardError

from tests.campaigns import SEED, cases
from tests.guard.conftest import DAY, NORMAL, PAUSED, REDUCED
from tests.guard.own_bot import OwnBot, own_bot

NAN = float("nan")


@pytest.fixture(params=[False, True], ids=["file", "journal"])
def bot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnBot]:
    with own_bot(tmp_path, journalled=request.param) as bot:
        yield bot


def ratios(bot: OwnBot) -> list[float]:
    """Return everything that a limit is held against, as another process would find it on the disk."""
    known = bot.remembered
    state, anchors = known.memory.performance, known.seen.anchors
    equity = state.equity
    return [state.peak_equity / equity, anchors.peak / equity, anchors.day_start / equity, state.shadow.drawdown]


def test_a_withdrawal_trips_nothing(bot: OwnBot) -> None:
    bot.see()
    bot.guard.cash_flow(-600.0)
    assert bot.guard.blocked is None
    assert bot.see(money=400.0) is NORMAL
    assert bot.guard.blocked is None
    assert ratios(bot) == pytest.approx([1.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize(("left", "blocked"), [(381.0, None), (379.0, "blocked_kill_switch")])
def test_a_loss_of_the_day_in_its_shadow_trips_the_switch_as_before(
    left: float, blocked: str | None, bot: OwnBot
) -> None:
    bot.see()
    bot.guard.cash_flow(-600.0)
    bot.see(money=left)
    assert bot.guard.blocked == blocked


@pytest.mark.parametrize(("left", "killed"), [(321.0, False), (319.0, True)])
def test_a_fall_to_the_floor_in_its_shadow_does_too(left: float, killed: bool, bot: OwnBot) -> None:
    bot.see()
    bot.guard.cash_flow(-600.0)
    bot.see(money=400.0)
    for money in (382.0, 365.0, 350.0, 335.0, left):
        bot.see(days=1, money=money)
    assert bot.switch.state().active == killed


def test_a_deposit_neither_hides_a_drawdown_nor_makes_one(bot: OwnBot) -> None:
    bot.see()
    bot.see(days=1, money=960.0)
    before = ratios(bot)
    bot.guard.cash_flow(960.0)
    assert bot.guard.blocked is None
    bot.see(money=1920.0)
    assert ratios(bot) == pytest.approx(before)
    assert bot.see(money=1899.0) is REDUCED, "5% below a peak of 2,000"


def test_what_the_price_did_between_the_equity_and_the_flow_counts_as_after_it(bot: OwnBot) -> None:
    bot.see()
    bot.guard.cash_flow(-600.0)
    bot.see(money=392.0)
    assert ratios(bot) == pytest.approx([400 / 392] * 3 + [0.0])


def test_shown_just_before_it_is_exact(bot: OwnBot) -> None:
    bot.see()
    bot.see(money=980.0)
    bot.guard.cash_flow(-600.0)
    bot.see(money=380.0)
    assert ratios(bot) == pytest.approx([1000 / 980] * 3 + [0.0])


def test_several_flows_between_two_equities_count_together(bot: OwnBot) -> None:
    bot.see()
    for amount in (-500.0, -100.0, 250.0, -250.0):
        bot.guard.cash_flow(amount)
        bot.now += 1
        assert bot.guard.blocked is None
    bot.see(money=400.0)
    assert ratios(bot) == pytest.approx([1.0, 1.0, 1.0, 0.0])


def test_told_after_an_equity_that_contains_it_it_is_put_before_that(bot: OwnBot) -> None:
    bot.see()
    paid_at = bot.now + 10
    bot.now += 60
    bot.see(money=1600.0)
    bot.now += 60
    bot.see(money=1568.0)
    bot.guard.cash_flow(600.0, at=paid_at)
    assert ratios(bot) == pytest.approx([1600 / 1568] * 3 + [0.0])
    assert bot.guard.blocked is None
    assert bot.see(money=1568.0) is NORMAL


def test_told_late_over_midnight_it_moves_no_day_s_start_that_contains_it(bot: OwnBot) -> None:
    bot.see()
    paid_at = utc(bot.now + 10)
    bot.see(days=1, money=970.0)
    bot.see(money=950.0)
    bot.guard.cash_flow(-30.0, at=paid_at)
    assert ratios(bot) == pytest.approx([970 / 950, 970 / 950, 970 / 950, 0.0])


def test_what_a_flow_that_was_told_too_late_has_tripped_stays_tripped(bot: OwnBot) -> None:
    bot.see()
    paid_at = bot.now
    bot.now += 60
    bot.see(money=400.0)
    bot.guard.cash_flow(-600.0, at=paid_at)
    assert bot.guard.blocked == "blocked_kill_switch"
    bot.switch.resume("it was a withdrawal", actor="ann")
    bot.see(money=400.0)
    assert not bot.switch.state().active


def test_a_flow_from_before_all_that_is_remembered_moves_nothing(bot: OwnBot) -> None:
    long_ago = bot.now
    bot.now += 1
    bot.see()
    bot.see(money=990.0)
    before = ratios(bot)
    bot.guard.cash_flow(500.0, at=long_ago)
    assert ratios(bot) == before
    assert bot.guard.blocked is None


def test_before_the_first_equity_there_is_nothing_to_scale(bot: OwnBot) -> None:
    bot.guard.cash_flow(5000.0)
    bot.see(money=6000.0)
    assert ratios(bot) == [1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("amount", [-1000.0, -1003.0, -999.5])
def test_an_account_that_was_emptied_keeps_its_ratios_until_there_is_money_again(amount: float, bot: OwnBot) -> None:
    bot.see(money=1050.0)
    bot.see(money=1000.0)
    before = ratios(bot)
    bot.guard.cash_flow(amount)
    for left in (0.0, 0.2, 0.0):
        bot.see(days=0.01, money=left)
        assert bot.guard.blocked is None
        assert ratios(bot) == pytest.approx(before)
    bot.restart()
    bot.guard.cash_flow(800.0 - (1000.0 + amount))
    bot.see(money=800.0)
    assert ratios(bot) == pytest.approx(before)
    bot.see(money=755.0)
    assert bot.guard.blocked == "blocked_kill_switch", "a loss of the day of 10%"


def test_an_account_that_cannot_have_been_emptied_hides_no_loss(bot: OwnBot) -> None:
    bot.see()
    bot.guard.cash_flow(-1000.0)
    bot.see(money=700.0)
    assert bot.guard.blocked == "blocked_kill_switch"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"amount": NAN}, "amount is nan: pass a finite number"),
        ({"amount": float("-inf")}, "amount is -inf: pass a finite number"),
        ({"amount": 1e308 * 10}, "amount is inf"),
        ({"amount": -1500.0}, "a cash flow of -1500 takes out more than the 999 that were there"),
        ({"amount": 1.0, "at": NAN}, "at is nan: pass a finite number, 0 or more"),
        ({"amount": 1.0, "at": 4e9}, "at is 4000000000.0, which is still to come"),
        ({"amount": 1.0, "at": 1.7e12}, "at is 1700000000000.0, which is still to come"),
        ({"amount": 1.0, "at": utc(0.0).replace(tzinfo=None)}, "pass Unix seconds or an aware datetime"),
        ({"amount": 1.0, "currency": "BTC"}, "a cash flow in BTC, after one in USDT: convert it"),
        ({"amount": 1.0, "flow_id": "a"}, "the cash flow 'a' was told as -1 before, and now as 1"),
        ({"amount": 1.0, "flow_id": 7}, "flow_id is 7: pass a text"),
    ],
)
def test_a_flow_that_makes_no_sense_counts_for_nothing_and_blocks_entries_until_a_call_succeeds(
    given: dict[str, Any], why: str, bot: OwnBot
) -> None:
    bot.see()
    bot.guard.cash_flow(-1.0, currency="USDT", flow_id="a")
    before = bot.remembered
    with pytest.raises(GuardError, match=why.replace("(", r"\(")):
        bot.guard.cash_flow(**given)
    assert bot.remembered == before
    assert bot.guard.blocked == "blocked_guard"
    bot.see(money=999.0)
    assert bot.guard.blocked is None


def test_by_its_id_a_flow_counts_once_also_after_a_restart(bot: OwnBot) -> None:
    bot.see()
    for _ in range(3):
        bot.guard.cash_flow(-500.0, flow_id="withdrawal 17")
        bot.restart()
    bot.see(money=500.0)
    assert ratios(bot) == pytest.approx([1.0, 1.0, 1.0, 0.0])
    assert not bot.switch.state().active


def test_a_flow_within_a_transaction_of_the_journal_is_refused(tmp_path: Path) -> None:
    with own_bot(tmp_path, journalled=True) as bot:
        bot.see()
        assert bot.journal is not None
        with bot.journal.transaction(), pytest.raises(GuardError, match="has a transaction of its own"):
            bot.guard.cash_flow(-600.0)
        bot.see(money=960.0)
        assert ratios(bot)[0] == pytest.approx(1000 / 960)


def test_a_process_that_ends_between_flow_and_equity_forgets_neither(bot: OwnBot) -> None:
    bot.see()
    bot.guard.cash_flow(-600.0)
    assert ratios(bot) == pytest.approx([1.0, 1.0, 1.0, 0.0]), "as another process finds it"
    bot.restart()
    assert bot.see(money=400.0) is NORMAL
    assert bot.guard.blocked is None


def test_the_shadow_s_fall_stays_as_deep_as_it_was(bot: OwnBot) -> None:
    bot.pause()
    bot.see(days=0.1)
    bot.guard.shadow_trade(profit=-20.0, risk=10.0)
    bot.see(days=1)
    before = ratios(bot)
    assert before[3] == pytest.approx(0.02)
    bot.guard.cash_flow(-500.0)
    assert bot.see(money=500.0) is PAUSED
    assert ratios(bot) == pytest.approx(before)
    assert bot.remembered.shadow_equity == pytest.approx(490.0)


def test_an_equity_from_before_the_newest_that_is_known_moves_nothing(bot: OwnBot) -> None:
    bot.see()
    before, earlier = bot.remembered, bot.now - 60
    assert bot.guard.equity(1.0, leverage=0.0, at=earlier) is NORMAL
    assert bot.remembered == before


Step = tuple[str, float]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("return"), st.floats(-0.04, 0.06)),
        st.tuples(st.just("flow"), st.floats(-0.95, 3.0)),
        st.tuples(st.just("days"), st.floats(0.1, 1.5)),
        st.tuples(st.just("restart"), st.just(0.0)),
        st.tuples(st.just("lost trades"), st.just(3.0)),
        st.tuples(st.just("shadow trade"), st.floats(-0.02, 0.03)),
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.fuzz
@seed(SEED)
@settings(max_examples=cases(sample=25, campaign=1_000), deadline=None, print_blob=True)
@given(steps=STEPS, journalled=st.booleans())
def test_any_sequence_of_flows_and_returns_leaves_each_ratio_as_if_the_account_had_been_scaled(
    steps: Sequence[Step], journalled: bool
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        own_bot(Path(folder) / "paid", journalled=journalled) as paid,
        own_bot(Path(folder) / "left alone", journalled=journalled) as alone,
    ):
        scale, price = 1.0, 1000.0
        for bot in (paid, alone):
            bot.see()
        for what, size in steps:
            if what == "return":
                price *= 1 + size
            elif what == "flow":
                paid.guard.cash_flow(price * scale * size)
                scale *= 1 + size
            for bot, money in ((paid, scale), (alone, 1.0)):
                if what == "return":
                    bot.see(days=0.01, money=price * money)
                elif what == "restart":
                    bot.restart()
                elif what == "days":
                    bot.now += size * DAY
                elif what == "lost trades":
                    bot.lose(int(size))
                elif what == "shadow trade":
                    bot.guard.shadow_trade(profit=size * money * 1000.0, risk=10.0 * money)
            assert ratios(paid) == pytest.approx(ratios(alone), rel=1e-9, abs=1e-12)
            assert (paid.guard.status, paid.guard.blocked) == (alone.guard.status, alone.guard.blocked)
            assert paid.switch.state().reason == alone.switch.state().reason
