"""How likely a bad model is caught within some signals: exact, and as a simulation has it."""

from __future__ import annotations

import math
import random

import pytest
from nightdesk_guard.evidence import ALARM, breach_probability, log_e_value
from nightdesk_guard.probation import signals_on_probation
from nightdesk_guard.settings import ProbationSettings

BOUND = 0.37


def simulated(win_rate: float, signals: int, *, runs: int = 2000) -> float:
    source = random.Random(11)
    caught = 0
    for _ in range(runs):
        wins = 0
        for number in range(1, signals + 1):
            wins += source.random() < win_rate
            if log_e_value(wins, number, bound=BOUND) >= math.log(ALARM):
                caught += 1
                break
    return caught / runs


@pytest.mark.parametrize(("win_rate", "signals"), [(0.0, 15), (0.2, 25), (0.2, 60), (0.3, 60)])
def test_it_is_what_a_simulation_shows(win_rate: float, signals: int) -> None:
    exact = breach_probability(win_rate, signals, bound=BOUND)
    error = math.sqrt(max(exact * (1 - exact), 1e-9) / 2000)
    assert simulated(win_rate, signals) == pytest.approx(exact, abs=4 * error + 1e-9)


def test_it_grows_with_signals_and_shrinks_with_the_win_rate_and_a_good_model_is_hardly_ever_caught() -> None:
    by_signals = [breach_probability(0.2, signals, bound=BOUND) for signals in (5, 20, 60, 200)]
    assert by_signals == sorted(by_signals)
    by_rate = [breach_probability(rate, 60, bound=BOUND) for rate in (0.1, 0.2, 0.3, 0.37)]
    assert by_rate == sorted(by_rate, reverse=True)
    assert breach_probability(BOUND, 400, bound=BOUND) <= 0.05


@pytest.mark.parametrize(("a_day", "signals"), [(0.4, 24), (2.0, 25), (0.001, 1)])
def test_a_probation_ends_by_its_trades_or_its_days(a_day: float, signals: int) -> None:
    assert signals_on_probation(ProbationSettings(), signals_a_day=a_day) == signals
