"""Deposits and withdrawals in an account's history: where they belong, and what is measured anew."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from nightdesk_core.cash_flows import AccountHistory, CashFlow
from nightdesk_core.clock import WallTime

from tests.campaigns import SEED, cases


def lived(
    shown: Sequence[tuple[float, float]], flows: Sequence[CashFlow], *, late: frozenset[int] = frozenset()
) -> AccountHistory:
    """Return the history of equities, which are (growth, whether a day begins with it), one a minute.

    Before each comes one flow; those that are `late` are told at the end.
    """
    history, peak, start, money = AccountHistory(), 0.0, 0.0, 1000.0
    told_late = []
    for minute, ((growth, new_day), flow) in enumerate(zip(shown, flows, strict=True)):
        if minute:
            money += flow.amount
            if minute in late:
                told_late.append(flow)
            else:
                history = history.paid(flow)
        (peak,), (start,) = history.peaks or (0.0,), history.starts or (0.0,)
        money *= growth
        peak = max(peak, money)
        start = money if new_day > 0.7 or start == 0 else start
        history = history.expecting(money).show(WallTime(60.0 * minute), money, peaks=(peak,), starts=(start,))
    for flow in told_late:
        history = history.paid(flow)
    return history


@pytest.mark.fuzz
@seed(SEED)
@settings(max_examples=cases(sample=300, campaign=50_000), deadline=None, print_blob=True)
@given(
    steps=st.lists(
        st.tuples(st.floats(0.9, 1.1), st.floats(0.0, 1.0), st.floats(-0.9, 2.0), st.booleans()),
        min_size=2,
        max_size=12,
    )
)
def test_told_late_or_in_time_is_the_same(steps: Sequence[tuple[float, float, float, bool]]) -> None:
    money, flows = 1000.0, []
    for minute, (growth, _, share, _) in enumerate(steps):
        flows.append(CashFlow(money * share if minute else 0.0, WallTime(60.0 * minute - 30)))
        money = (money + flows[-1].amount) * growth
    shown = [(growth, new_day) for growth, new_day, _, _ in steps]
    late = frozenset(minute for minute, step in enumerate(steps) if step[3])
    in_time, told_late = lived(shown, flows), lived(shown, flows, late=late)
    assert told_late.equity == pytest.approx(in_time.equity)
    assert told_late.peaks == pytest.approx(in_time.peaks)
    assert told_late.starts == pytest.approx(in_time.starts)


def test_no_more_than_a_hundred_equities_and_two_hundred_flows_are_remembered() -> None:
    history = AccountHistory()
    for minute in itertools.islice(itertools.count(), 500):
        at = WallTime(60.0 * minute)
        history = history.show(at, 1000.0, peaks=(1000.0,), starts=(1000.0,))
        history = history.paid(CashFlow(1e-9, at, str(minute)))
    assert (len(history.shown), len(history.flows)) == (100, 200)
