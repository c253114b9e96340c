"""Probation: a model that was just promoted trades small, until it has shown that it keeps its promise."""

from __future__ import annotations

from nightdesk_guard.settings import ProbationSettings


def signals_on_probation(settings: ProbationSettings, *, signals_a_day: float) -> int:
    """Return how many signals a model is expected to give until its probation is over."""
    return max(1, min(settings.trades[-1], round(signals_a_day * settings.days[-1])))


def probation_share(settings: ProbationSettings, *, trades: int, days: float) -> float:
    """Return the share of its size at which a model on probation trades, 1 once it has stood it.

    `trades` it closed with money and `days` of market time that it has been in use; either takes it a step further.
    """
    steps = zip(settings.shares, settings.trades, settings.days, strict=True)
    return next((share for share, most, longest in steps if trades < most and days < longest), 1.0)
