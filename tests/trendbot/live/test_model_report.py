"""What is told of the model in use: by the equity since it is in use, and nothing of the one before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, TimeScale
from nightdesk_core.journal.journal import Journal
from nightdesk_exporter import BotExporter
from nightdesk_guard import Expected, LiveMeasures
from nightdesk_guard.expectation import Ratios
from nightdesk_trendbot.live.model_report import ModelReport

DAY = 86_400
START = 18_000 * DAY
EXPECTED = Expected(
    trades=100,
    days=180,
    wins=45,
    win_rate=0.45,
    win_rate_bound=0.38,
    mean_r=0.2,
    mean_fees_r=0.1,
    mean_slippage_r=0.0,
    trades_a_day=0.6,
    sharpe_ratio=1.0,
    drawdowns={7: 0.01, 30: 0.02},
)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "btc.sqlite")
        with self.journal.transaction():
            for day in range(61):
                self.journal.record_equity(MarketTime(START + day * DAY), 1000.0 + (day % 3) * (day % 5))
        self.report = ModelReport(BotExporter("btc", symbols=[], port=0), TimeScale(), self.journal)

    def measures(self, *, since: int) -> LiveMeasures:
        return self.report.measures(MarketTime(START + 60 * DAY), MarketTime(since), EXPECTED, 0.25)


def test_a_model_that_was_swapped_in_today_has_no_ratios_of_the_one_before_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = desk.measures(since=START)
    assert before.sharpe_ratio is not None
    assert before.compared is not None
    assert None not in (before.compared.sharpe, before.compared.drawdown)
    assert before.probation_share == 0.25
    after = desk.measures(since=START + 60 * DAY)
    assert after.sharpe_ratio is None
    assert after.compared == Ratios(None, None)


def test_ratios_are_worked_out_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    first = desk.measures(since=START)
    monkeypatch.setattr(desk.journal, "equity", lambda **_: pytest.fail("read again"))
    assert desk.measures(since=START) == first
