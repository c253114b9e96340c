"""An account that passes a limit has the health checked at once, and one that stays where it is does not."""

from __future__ import annotations

import pytest
from nightdesk_exporter import BotExporter, Limits

from tests.exporter.conftest import Clock


class Woken(BotExporter):
    """Counts how often health, status file and alerts are to follow at once."""

    times = 0

    def changed(self) -> None:
        self.times += 1


@pytest.fixture
def exporter(clock: Clock) -> Woken:
    # Shares that a float holds exactly: what lies at a limit is not past it.
    limits = Limits(drawdown_warning_ratio=0.25, drawdown_critical_ratio=0.5, daily_loss_ratio=0.25)
    return Woken("btc", symbols=[], port=0, clock=clock, limits=limits, strict=True)


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        ((0.0, 0.0), (0.25, -0.25), False),
        ((0.0, 0.0), (0.26, 0.0), True),
        ((0.26, 0.0), (0.5, 0.0), False),
        ((0.26, 0.0), (0.51, 0.0), True),
        ((0.51, 0.0), (0.6, 0.0), False),
        ((0.51, 0.0), (0.26, 0.0), True),
        ((0.26, 0.0), (0.0, 0.0), True),
        ((0.0, 0.0), (0.0, -0.26), True),
        ((0.0, -0.26), (0.0, -0.3), False),
        ((0.0, -0.26), (0.0, 0.0), True),
    ],
)
def test_the_health_is_checked_when_the_account_passes_a_limit_and_not_before_nor_again(
    before: tuple[float, float], after: tuple[float, float], woken: bool, exporter: Woken
) -> None:
    for drawdown, daily in (before, after):
        exporter.times = 0
        exporter.equity(1000.0 * (1 - drawdown), peak=1000.0, daily_pnl_ratio=daily)
    assert exporter.times == int(woken)
