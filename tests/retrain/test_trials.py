"""The ledger of trials: what was tried stays there once, whatever is killed, and how many different ones it makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from loguru import logger
from nightdesk_retrain.judgement.metrics import Floats, judged_sharpe_ratio
from nightdesk_retrain.judgement.trials import Trial, TrialLedger, cluster_sharpe_ratios, correlations

from tests.retrain.conftest import DAY


def trial(version: str, returns: Floats, *, first_day: int = 0) -> Trial:
    days = tuple(range((first_day + 1) * DAY, (first_day + len(returns) + 1) * DAY, DAY))
    return Trial(version, days, tuple(returns.tolist()))


def monthly(count: int, *, alike: float, seed: int, days: int = 180) -> list[Trial]:
    """Return trials of models with this correlation, the hold-out of each 30 days after the one before."""
    source = np.random.default_rng(seed)
    market = source.normal(0, 0.01, days + 30 * count)
    own = source.normal(0, 0.01, (count, days))
    return [
        trial(
            f"v{number}",
            np.sqrt(alike) * market[30 * number : 30 * number + days] + np.sqrt(1 - alike) * own[number],
            first_day=30 * number,
        )
        for number in range(count)
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path)


def test_what_was_added_is_there_again_to_the_last_digit(ledger: TrialLedger) -> None:
    assert ledger.trials() == []
    trials = monthly(3, alike=0.85, seed=1)
    for number, one in enumerate(trials, start=1):
        assert ledger.add(one) == trials[:number]
    assert TrialLedger(ledger.path.parent).trials() == trials


def test_a_version_is_one_trial_however_often_it_is_added(ledger: TrialLedger) -> None:
    one, other = monthly(2, alike=0.85, seed=1)
    ledger.add(one)
    ledger.add(other)
    before = ledger.path.read_bytes()
    assert ledger.add(one) == [one, other]
    assert ledger.path.read_bytes() == before
    ledger.path.write_bytes(before + before)
    assert ledger.trials() == [one, other]


def test_killed_at_any_byte_of_an_append_the_ledger_holds_what_was_before(ledger: TrialLedger) -> None:
    one, other = (trial(name, np.array([0.01, -0.02])) for name in ("v1", "v2"))
    ledger.add(one)
    whole = len(ledger.path.read_bytes())
    ledger.add(other)
    content = ledger.path.read_bytes()
    for end in range(whole, len(content)):
        ledger.path.write_bytes(content[:end])
        assert ledger.trials() == [one]
        assert ledger.add(other) == [one, other]
        assert ledger.path.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    [b"nonsense\n", b"\x00\x00\n", b"[]\n", b'{"version":"v"}\n', b'{"version":"v","days":[1],"daily_returns":[]}\n'],
)
def test_a_line_that_is_no_trial_is_named_and_left_out(damage: bytes, ledger: TrialLedger) -> None:
    one, other = (trial(name, np.array([0.01, -0.02])) for name in ("v1", "v2"))
    ledger.add(one)
    with ledger.path.open("ab") as file:
        file.write(damage)
    said: list[str] = []
    sink = logger.add(said.append)
    try:
        assert ledger.add(other) == [one, other]
    finally:
        logger.remove(sink)
    assert f"{ledger.path}, line 2: is no trial and is left out (" in said[0]
    assert ledger.trials() == [one, other]


def test_without_a_trial_there_is_no_cluster_and_one_trial_is_one() -> None:
    assert cluster_sharpe_ratios([]) == ()
    (one,) = monthly(1, alike=0.85, seed=1)
    assert cluster_sharpe_ratios([one]) == (one.sharpe_ratio,)
    assert one.sharpe_ratio == pytest.approx(judged_sharpe_ratio(np.array(one.daily_returns)) / np.sqrt(365))


def test_the_same_model_tried_again_on_the_same_days_is_no_further_trial() -> None:
    (one,) = monthly(1, alike=0.85, seed=1)
    again = [Trial(f"v{number}", one.days, one.daily_returns) for number in range(5)]
    assert cluster_sharpe_ratios(again) == pytest.approx((one.sharpe_ratio,))


def test_unrelated_models_on_the_same_days_are_as_many_trials_as_models() -> None:
    source = np.random.default_rng(2)
    unrelated = [trial(f"v{number}", source.normal(0, 0.01, 180)) for number in range(10)]
    assert cluster_sharpe_ratios(unrelated) == pytest.approx([one.sharpe_ratio for one in unrelated])


def test_a_model_on_days_that_no_other_has_is_a_trial_of_its_own() -> None:
    returns = np.random.default_rng(3).normal(0, 0.01, 180)
    apart = [trial("v1", returns), trial("v2", returns, first_day=180), trial("v3", -returns)]
    assert correlations(apart) == pytest.approx(np.array([[1, 0, -1], [0, 1, 0], [-1, 0, 1]]))
    assert len(cluster_sharpe_ratios(apart)) == 3


def test_the_correlation_is_that_on_common_days_times_their_share() -> None:
    first, second = monthly(2, alike=0.85, seed=4)
    common = np.corrcoef(first.daily_returns[30:], second.daily_returns[:-30])[0, 1]
    assert correlations([first, second]) == pytest.approx(np.array([[1, common * 150 / 180], [common * 150 / 180, 1]]))
    shorter = Trial("v3", second.days[:50], second.daily_returns[:50])
    assert correlations([second, shorter])[0, 1] == pytest.approx(50 / np.sqrt(180 * 50))


@pytest.mark.parametrize("step", [0, 30, 90, 180])
def test_so_correlated_are_the_sharpe_ratios_of_trials_that_are_repeated(step: int) -> None:
    source = np.random.default_rng(5)
    market, own, other = source.normal(0, 0.01, (3, 4000, 360))
    first, second = (
        np.sqrt(0.85) * market[:, start : start + 180] + np.sqrt(0.15) * noise[:, :180]
        for start, noise in ((0, own), (step, other))
    )
    ratios = [series.mean(axis=1) / series.std(axis=1) for series in (first, second)]
    # Three standard errors of a correlation of 4,000 pairs.
    assert np.corrcoef(*ratios)[0, 1] == pytest.approx(0.85 * (180 - step) / 180, abs=0.048)


def test_a_year_of_monthly_retrains_of_models_that_are_alike_makes_about_five_trials() -> None:
    numbers = [len(cluster_sharpe_ratios(monthly(12, alike=0.85, seed=seed))) for seed in range(20)]
    assert 4 <= np.mean(numbers) <= 6


def test_models_that_never_trade_are_one_trial() -> None:
    flat = np.zeros(180)
    assert cluster_sharpe_ratios([trial("v1", flat), trial("v2", flat)]) == (0.0,)
    moving = trial("v3", np.random.default_rng(6).normal(0, 0.01, 180))
    assert len(cluster_sharpe_ratios([trial("v1", flat), moving])) == 2
