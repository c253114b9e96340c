"""Probation: a model that was just promoted trades small, until it has shown that it keeps its promise."""

from __future__ import annotations

from nightdesk_guard.settings import ProbationSettings


def probation_share(settings: ProbationSettings, *, trades: int, days: float) -> float:
    """Return the share of its size at which a model on probation trades, 1 once it has stood it.

    `trades` it closed with money and `days` of market time that it has been in use; either takes it a step further.
    """
    steps = zip(settings.shares, settings.trades, settings.days, strict=True)
    return next((share for share, most, longest in steps if trades < most and days < longest), 1.0)
