"""What is told of the model in use: by the equity since it is in use, and nothing of the one before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from nightdesk_core.clock import TimeScale
from nightdesk_core.journal import Journal
from nightdesk_exporter import BotExporter
from nightdesk_guard import Evidence, Expected, GuardLimits, GuardProfile
from nightdesk_guard.limits import TierLimits
from nightdesk_trendbot.engine.state import EngineState, new_state
from nightdesk_trendbot.live.model_report import ModelReport
from nightdesk_trendbot.model.champion import ChampionWatch

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
PROFILE = GuardProfile(GuardLimits("documented", TierLimits(), TierLimits()), EXPECTED)


class _Model:
    def __init__(self, version: str) -> None:
        self.version = version


class _Deployment:
    size_share = 1.0

    def __init__(self, version: str) -> None:
        self.model = _Model(version)
        self.profile = PROFILE


class _Watch:
    """A champion's watch with a model in use."""

    def __init__(self, version: str) -> None:
        self.deployment = _Deployment(version)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "btc.sqlite")
        with self.journal.transaction():
            for day in range(61):
                self.journal.record_equity(START + day * DAY, 1000.0 + (day % 3) * (day % 5))
        self.exporter = BotExporter("btc", symbols=[], port=0)
        self.report = ModelReport(self.exporter, TimeScale(), self.journal)

    def tell(self, state: EngineState, version: str) -> dict[str, Any]:
        self.report.evidence(state, cast(ChampionWatch, _Watch(version)))
        model: dict[str, Any] = self.exporter.status()["model"]
        return model


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_model_that_was_swapped_in_today_has_no_ratios_of_the_one_before_it(desk: Desk) -> None:
    state = replace(new_state(["S"], 1000.0), last_close=START + 60 * DAY, model_version="v1", model_since=START)
    before = desk.tell(state, "v1")
    assert before["performance"]["live_sharpe_ratio"] is not None
    assert None not in before["expectation"]["live_to_backtest"].values()
    after = desk.tell(replace(state, model_version="v2", model_since=START + 60 * DAY), "v2")
    assert after["performance"]["live_sharpe_ratio"] is None
    assert after["expectation"]["live_to_backtest"] == {"sharpe": None, "drawdown": None}


def test_the_shadow_s_trades_are_evidence_and_no_live_trades(desk: Desk) -> None:
    found = Evidence("v1", signals=9, wins=6, trades=4, trades_won=1)
    state = replace(new_state(["S"], 1000.0), evidence={"v1": found})
    model = desk.tell(state, "v1")
    assert (model["performance"]["live_trades"], model["performance"]["live_win_ratio"]) == (4, 0.25)
    assert model["expectation"]["signals"] == 9
