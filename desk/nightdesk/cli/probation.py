"""What a probation is worth, for people: how likely it takes back a model that is worse than it promised."""

from __future__ import annotations

from nightdesk_guard import Expected, breach_probability, signals_on_probation
from nightdesk_guard.settings import ProbationSettings


def chance_of_catching(rules: ProbationSettings, expected: Expected) -> str:
    """Return how likely a breach takes back a bad model within its probation, and a good one."""
    signals = signals_on_probation(rules, signals_a_day=expected.trades_a_day)
    third, half, good = (
        breach_probability(share * expected.win_rate, signals, bound=expected.win_rate_bound)
        for share in (2 / 3, 1 / 2, 1)
    )
    return (
        f"on probation ({signals} signals) a breach takes back a model that wins a third less in {third:.1%} of cases,"
        f" half as often in {half:.1%}, as often as promised in {good:.2%}"
    )
