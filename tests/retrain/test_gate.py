"""The gate: each criterion alone keeps, and the verdict says which with its numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_retrain.judgement.gate import Comparison, GateVerdict, Ruling, judge
from nightdesk_retrain.judgement.metrics import Performance
from nightdesk_retrain.judgement.outperformance import SharpeDifference
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings

GOOD = Performance(
    sharpe_ratio=1.5,
    profit_factor=1.6,
    max_drawdown_ratio=0.08,
    trades=80,
    win_ratio=0.45,
    total_return_ratio=0.2,
    days=180,
)
BETTER = Comparison("v1", "champion", 180.0, SharpeDifference(0.4, 0.5, -0.42, 180, 0.79))


def ruling(
    candidate: Performance = GOOD, champion: Comparison | None = BETTER, *, require_outperformance: bool = True
) -> Ruling:
    rotation = ModelRotationSettings(require_outperformance=require_outperformance)
    return judge(candidate, champion, rotation=rotation, retrain=RetrainSettings())


def with_difference(difference: float, bound: float) -> Comparison:
    return replace(BETTER, sharpe=SharpeDifference(difference, 0.5, bound, 180, 0.5))


def test_a_candidate_that_meets_every_criterion_is_promoted() -> None:
    found = ruling()
    assert (found.verdict, found.reason) == (GateVerdict.PROMOTED, "every criterion is met")
    assert [criterion.name for criterion in found.criteria] == [
        "sharpe_ratio",
        "profit_factor",
        "max_drawdown",
        "trades",
        "common_days",
        "sharpe_difference",
        "sharpe_difference_lower_bound",
    ]
    assert all(criterion.passed for criterion in found.criteria)


@pytest.mark.parametrize(
    ("candidate", "champion", "reason"),
    [
        (replace(GOOD, sharpe_ratio=1.0), BETTER, "sharpe_ratio 1 is not above 1"),
        (replace(GOOD, profit_factor=1.2), BETTER, "profit_factor 1.2 is not above 1.2"),
        (replace(GOOD, max_drawdown_ratio=0.2), BETTER, "max_drawdown 0.2 is not below 0.2"),
        (replace(GOOD, trades=49), BETTER, "trades 49 is not at least 50"),
        (GOOD, with_difference(0.0, -0.1), "sharpe_difference 0 is not above 0"),
        (GOOD, with_difference(0.3, -0.5), "sharpe_difference_lower_bound -0.5 is not above -0.5 with 95% confidence"),
    ],
)
def test_each_criterion_alone_keeps_and_is_named_with_its_number(
    candidate: Performance, champion: Comparison, reason: str
) -> None:
    found = ruling(candidate, champion)
    assert (found.verdict, found.reason) == (GateVerdict.KEPT, reason)
    assert sum(not criterion.passed for criterion in found.criteria) == 1


def test_all_that_fails_is_named() -> None:
    found = ruling(replace(GOOD, sharpe_ratio=0.25, trades=3), with_difference(-1.25, -2.0))
    assert found.reason == (
        "sharpe_ratio 0.25 is not above 1; trades 3 is not at least 50; sharpe_difference -1.25 is not above 0; "
        "sharpe_difference_lower_bound -2 is not above -0.5 with 95% confidence"
    )


def test_without_a_losing_trade_the_profit_factor_is_met_without_any_trade_it_is_not() -> None:
    assert ruling(replace(GOOD, profit_factor=None)).verdict is GateVerdict.PROMOTED
    found = ruling(replace(GOOD, profit_factor=None, trades=0))
    assert found.reason == "profit_factor (not measured) is not above 1.2; trades 0 is not at least 50"


def test_against_a_provisional_champion_the_point_estimate_is_enough() -> None:
    provisional = replace(with_difference(0.01, -3.0), standing="provisional")
    assert ruling(GOOD, provisional).verdict is GateVerdict.PROMOTED
    assert "sharpe_difference_lower_bound" not in [criterion.name for criterion in ruling(GOOD, provisional).criteria]
    behind = replace(with_difference(-0.01, -3.0), standing="provisional")
    assert ruling(GOOD, behind).verdict is GateVerdict.KEPT


@pytest.mark.parametrize("standing", ["champion", "probation"])
def test_against_a_champion_that_was_judged_it_is_not(standing: str) -> None:
    champion = with_difference(0.01, -3.0)
    assert ruling(GOOD, replace(champion, standing=standing)).verdict is GateVerdict.KEPT  # type: ignore[arg-type]


def test_under_120_common_days_the_evidence_is_insufficient() -> None:
    assert ruling(GOOD, replace(BETTER, common_days=120.0)).verdict is GateVerdict.PROMOTED
    found = ruling(GOOD, replace(BETTER, common_days=119.0))
    assert found.verdict is GateVerdict.INSUFFICIENT_EVIDENCE
    assert found.reason == "common_days 119 is not at least 120 days that neither model has seen"


def test_without_a_single_common_day_nothing_is_measured_and_the_evidence_is_insufficient() -> None:
    found = ruling(GOOD, Comparison("v1", "champion", 0.0, None))
    assert found.verdict is GateVerdict.INSUFFICIENT_EVIDENCE
    assert "sharpe_difference (not measured) is not above 0" in found.reason


def test_where_the_days_bear_no_bound_no_candidate_could_pass_and_the_evidence_is_insufficient() -> None:
    found = ruling(GOOD, with_difference(3.0, -math.inf))
    assert found.verdict is GateVerdict.INSUFFICIENT_EVIDENCE
    assert found.reason == "sharpe_difference_lower_bound -inf is not above -0.5 with 95% confidence"
    provisional = replace(with_difference(3.0, -math.inf), standing="provisional")
    assert ruling(GOOD, provisional).verdict is GateVerdict.PROMOTED


def test_a_champion_past_its_age_limit_is_held_to_less_confidence_and_the_error_rate_is_told() -> None:
    found = ruling(GOOD, replace(with_difference(0.1, -0.6), past_age=True))
    assert found.verdict is GateVerdict.KEPT
    assert found.reason == (
        "sharpe_difference_lower_bound -0.6 is not above -0.5 with 80% confidence (less than the usual 95%, as the "
        "champion is past its age limit: of candidates with a true difference of -0.5, 20% pass)"
    )


def test_the_first_champion_is_judged_by_itself() -> None:
    assert ruling(GOOD, None).verdict is GateVerdict.PROMOTED
    assert ruling(replace(GOOD, trades=1), None).verdict is GateVerdict.KEPT
    assert len(ruling(GOOD, None).criteria) == 4


def test_the_deflated_sharpe_ratio_is_a_criterion_only_where_a_minimum_is_set() -> None:
    def judged(deflated: float | None, minimum: float | None) -> Ruling:
        retrain = RetrainSettings(min_deflated_sharpe=minimum)
        return judge(GOOD, BETTER, rotation=ModelRotationSettings(), retrain=retrain, deflated=deflated)

    for told in (None, 0.0, 0.5, 1.0):
        assert judged(told, None) == ruling()
    assert judged(0.95, 0.95).verdict is GateVerdict.PROMOTED
    assert judged(0.949, 0.95).verdict is GateVerdict.KEPT
    assert judged(0.949, 0.95).reason == "deflated_sharpe 0.949 is not at least 0.95"
    assert judged(None, 0.1).reason == "deflated_sharpe (not measured) is not at least 0.1"
    assert judged(math.nan, 0.1).verdict is GateVerdict.KEPT


def test_known_failure_7_require_outperformance_is_read() -> None:
    worse = with_difference(-2.0, -3.0)
    assert ruling(GOOD, worse).verdict is GateVerdict.KEPT
    assert ruling(GOOD, worse, require_outperformance=False).verdict is GateVerdict.PROMOTED
    assert len(ruling(GOOD, worse, require_outperformance=False).criteria) == 4


def test_known_failure_6_a_sharpe_above_1_can_pass_and_every_threshold_is_the_setting_s() -> None:
    strict = ModelRotationSettings(
        min_sharpe_ratio=3.0, min_profit_factor=2.5, max_drawdown_threshold=0.01, min_trades=1000
    )
    found = judge(GOOD, None, rotation=strict, retrain=RetrainSettings())
    assert [criterion.threshold for criterion in found.criteria] == [3.0, 2.5, 0.01, 1000]
    assert not any(criterion.passed for criterion in found.criteria)


@given(
    sharpe=st.floats(allow_nan=True),
    factor=st.none() | st.floats(allow_nan=True),
    drawdown=st.floats(allow_nan=True),
    trades=st.integers(0, 200),
    difference=st.floats(allow_nan=True),
    bound=st.floats(allow_nan=True),
)
def test_promoted_means_that_no_criterion_failed_and_nothing_that_is_no_number_passes(
    sharpe: float, factor: float | None, drawdown: float, trades: int, difference: float, bound: float
) -> None:
    candidate = replace(GOOD, sharpe_ratio=sharpe, profit_factor=factor, max_drawdown_ratio=drawdown, trades=trades)
    found = ruling(candidate, with_difference(difference, bound))
    assert (found.verdict is GateVerdict.PROMOTED) == all(criterion.passed for criterion in found.criteria)
    for criterion in found.criteria:
        if criterion.value is not None and math.isnan(criterion.value):
            assert not criterion.passed
