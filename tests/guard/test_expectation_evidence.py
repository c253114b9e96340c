"""What live trading shows of a model: which trades count, where the gap to the promise went, what is information."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.files import stored
from nightdesk_core.trades import ClosedTrade
from nightdesk_guard.evidence import ALARM, Evidence, log_e_value
from nightdesk_guard.expectation import Expected, ratios

from tests.guard.simulations import hold_out, trade

MULTIPLIER = 0.5


@pytest.fixture(scope="module")
def expected() -> Expected:
    found = Expected.of(hold_out(win_rate=0.45, trades=80, days=180, seed=3))
    assert found is not None
    return found


def after(evidence: Evidence, expected: Expected, *trades: ClosedTrade, shadow: bool = False) -> Evidence:
    return evidence.after(expected, trades, shadow=shadow, size_multiplier=MULTIPLIER)


def test_a_signal_counts_once_whether_it_was_traded_or_shadowed(expected: Expected) -> None:
    evidence = after(Evidence("v1"), expected, trade(r=2.0), trade(r=-1.0))
    evidence = after(evidence, expected, trade(r=2.0), trade(r=-1.0), shadow=True)
    evidence = after(evidence, expected, trade(r=2.0, guard="reduced"))
    assert (evidence.signals, evidence.wins) == (4, 2)
    assert evidence.win_rate == 0.5
    assert (evidence.normal_r, evidence.shadow_r, evidence.reduced_r) == (1.0, 1.0, 1.0)
    assert (evidence.trades, evidence.trade_win_rate) == (3, 2 / 3), "the shadow's are none"


def test_trades_of_another_model_say_nothing_of_this_one(expected: Expected) -> None:
    evidence = Evidence("v2")
    assert after(evidence, expected, trade(version="v1"), trade(version="v1", guard="reduced")) == evidence
    assert after(evidence, expected, trade(version="v1"), shadow=True) == evidence


TRADES = st.lists(
    st.tuples(
        st.floats(-3, 5),
        st.sampled_from(["normal", "reduced", "shadow"]),
        st.floats(0, 0.5),
        st.floats(0, 0.5),
    ),
    max_size=40,
)


@given(history=TRADES)
def test_the_parts_of_the_gap_add_up_to_it(expected: Expected, history: list[tuple[float, str, float, float]]) -> None:
    evidence = Evidence("v1")
    for r, kind, fees, slippage in history:
        guard = "reduced" if kind == "reduced" else "normal"
        closed = trade(r=r, guard=guard, fees_r=fees, slippage_r=slippage)
        evidence = after(evidence, expected, closed, shadow=kind == "shadow")
    gap = evidence.gap(expected)
    signals = [entry for entry in history if entry[1] != "reduced"]
    if not signals:
        assert gap is None
        return
    assert gap is not None
    real = [r * (MULTIPLIER if kind == "reduced" else 1) for r, kind, _, _ in history if kind != "shadow"]
    assert gap.delivered == pytest.approx(sum(real) / len(signals), abs=1e-9)
    parts = gap.fees + gap.slippage + gap.missed + gap.signal
    assert gap.promised - gap.delivered == pytest.approx(parts, abs=1e-9)
    # What is left for the signals is what they earned less than promised before costs that rose.
    earned = sum(r for r, *_ in signals) / len(signals)
    assert gap.signal == pytest.approx(expected.mean_r - earned - gap.fees - gap.slippage, abs=1e-9)
    assert gap.fees == pytest.approx(
        sum(fees for *_, fees, _ in signals) / len(signals) - expected.mean_fees_r, abs=1e-9
    )


def test_each_part_of_the_gap_shows_where_it_belongs(expected: Expected) -> None:
    as_promised = [trade(r=expected.mean_r) for _ in range(4)]
    gap = after(Evidence("v1"), expected, *as_promised).gap(expected)
    assert gap is not None
    assert (gap.fees, gap.slippage, gap.missed, gap.signal) == pytest.approx((0, 0, 0, 0), abs=1e-12)
    dearer = [trade(r=expected.mean_r - 0.1, fees_r=0.15) for _ in range(4)]
    gap = after(Evidence("v1"), expected, *dearer).gap(expected)
    assert gap is not None
    assert (gap.fees, gap.slippage, gap.missed, gap.signal) == pytest.approx((0.1, 0, 0, 0), abs=1e-12)
    held = after(Evidence("v1"), expected, *as_promised, shadow=True)
    gap = after(held, expected, trade(r=expected.mean_r, guard="reduced")).gap(expected)
    assert gap is not None
    missed = expected.mean_r * (4 - MULTIPLIER) / 4
    assert (gap.fees, gap.slippage, gap.missed, gap.signal) == pytest.approx((0, 0, missed, 0), abs=1e-12)


def test_a_breach_is_latched(expected: Expected) -> None:
    lost = [trade(r=-1.0)] * 40
    evidence = after(Evidence("v1"), expected, *lost)
    assert evidence.breached
    assert evidence.e_value >= ALARM
    recovered = after(evidence, expected, *[trade(r=2.0)] * 400)
    assert log_e_value(400, 440, bound=expected.win_rate_bound) < 0
    assert recovered.breached
    assert recovered.e_value < 1, "what is shown is how the evidence stands"
    assert not after(Evidence("v1"), expected, *lost[:5]).breached


def test_an_e_value_that_no_float_holds_is_still_a_number(expected: Expected) -> None:
    assert replace(Evidence("v1"), log_e=1e6).e_value > 1e300


def test_before_the_first_signal_nothing_is_known(expected: Expected) -> None:
    evidence = Evidence("v1")
    assert (evidence.win_rate, evidence.gap(expected), evidence.e_value, evidence.breached) == (None, None, 1.0, False)


@given(history=TRADES)
def test_evidence_survives_a_restart_after_any_trade(
    expected: Expected, history: list[tuple[float, str, float, float]]
) -> None:
    steady = restarted = Evidence("v1")
    for r, kind, *_ in history:
        closed, shadow = trade(r=r, guard="reduced" if kind == "reduced" else "normal"), kind == "shadow"
        steady = after(steady, expected, closed, shadow=shadow)
        restarted = after(restarted, expected, closed, shadow=shadow)
        restarted = stored.from_plain(Evidence, json.loads(json.dumps(stored.plain(restarted))), source="a test")
        assert restarted == steady


def test_ratios_compare_equal_horizons(expected: Expected) -> None:
    calm, sudden = [0.001, 0.002] * 40, [-0.05, *[0.001, 0.002] * 40]
    live = ratios(expected, calm)
    assert live.drawdown == 0.0
    assert live.sharpe is not None
    assert live.sharpe > 1
    # 81 days: the last 60 of them are held against 60 expected ones, and the fall lies before.
    assert ratios(expected, sudden).drawdown == 0.0
    assert ratios(expected, sudden[:60]).drawdown == pytest.approx(0.05 / expected.drawdowns[60])


def test_ratios_are_unknown_in_the_first_month_and_without_a_promise(expected: Expected) -> None:
    assert ratios(expected, [0.001, -0.002] * 14) == ratios(expected, [])
    assert ratios(expected, []).sharpe is None
    live = [0.001, -0.002] * 20
    assert ratios(replace(expected, sharpe_ratio=-0.5), live).sharpe is None
    assert ratios(replace(expected, sharpe_ratio=None), live).sharpe is None
    assert ratios(replace(expected, drawdowns={30: 0.0}), live).drawdown is None
    assert ratios(expected, [0.001] * 40).sharpe is None


def test_a_live_bot_loads_no_numbers_for_it() -> None:
    source = "import nightdesk_guard.expectation, nightdesk_guard.profile, sys; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "False\n"
