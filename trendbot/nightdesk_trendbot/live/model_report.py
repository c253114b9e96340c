"""What the live loop tells the exporter of its model: which it is, what it promised, and what it has delivered."""

from __future__ import annotations

import numpy as np
from loguru import logger
from nightdesk_core.clock import TimeScale
from nightdesk_core.journal import Journal
from nightdesk_core.measures import sharpe_ratio
from nightdesk_exporter import BotExporter
from nightdesk_guard import Evidence, Expected
from nightdesk_guard.expectation import MIN_RATIO_DAYS, Ratios, ratios
from nightdesk_guard.reporting import report_delivered

from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.model.backtest import daily_returns
from nightdesk_trendbot.model.champion import ChampionWatch

_DAY_SECONDS = 86_400


class ModelReport:
    """Tells one exporter of one bot's model."""

    def __init__(self, exporter: BotExporter, scale: TimeScale, journal: Journal) -> None:
        self._exporter = exporter
        self._scale = scale
        self._journal = journal
        self._compared = (0, 0)
        """The day that the ratios are of, and the close since which their model was in use then."""
        self._ratios = Ratios(None, None)
        self._sharpe_ratio: float | None = None

    def model(self, watch: ChampionWatch) -> None:
        """Tell which model is in use."""
        if watch.deployment is None or watch.champion is None:
            self._exporter.no_model()
            return
        model = watch.deployment.model
        standing, data_end = watch.champion.standing, float(model.data_end)
        self._exporter.model(model.version, trained_at=model.trained_at, standing=standing, data_end=data_end)
        backtest = model.backtest
        seconds = _DAY_SECONDS * backtest.get("days", 0) / max(backtest.get("trades", 0), 1)
        self._exporter.promised(
            win_ratio=backtest.get("win_ratio"),
            sharpe_ratio=backtest.get("sharpe_ratio"),
            max_drawdown_ratio=backtest.get("max_drawdown_ratio"),
            trade_interval_seconds=self._scale.interval(seconds),
        )

    def evidence(self, state: EngineState, watch: ChampionWatch, *, breach: Evidence | None = None) -> None:
        """Tell what the model in use has delivered against what its hold-out promised."""
        deployment = watch.deployment
        if deployment is None or deployment.profile is None or deployment.profile.expected is None:
            return
        expected, version = deployment.profile.expected, deployment.model.version
        found = state.evidence.get(version, Evidence(version))
        if breach is not None:
            logger.warning("{} wins less than its hold-out promised: e-value {:.1f}", version, found.e_value)
        self._compare(state, expected)
        report_delivered(
            self._exporter,
            expected,
            found,
            sharpe_ratio=self._sharpe_ratio,
            compared=self._ratios,
            probation_share=deployment.size_share,
        )

    def _compare(self, state: EngineState, expected: Expected) -> None:
        """Reckon live against expected Sharpe and drawdown, once a day: they are of daily returns."""
        compared = (state.last_close // _DAY_SECONDS, state.model_since)
        if compared == self._compared:
            return
        self._compared, self._ratios, self._sharpe_ratio = compared, Ratios(None, None), None
        points = self._journal.equity(after=state.model_since - 1)
        if not points:
            return
        times, equities = (np.array(column) for column in zip(*points, strict=True))
        _, returns = daily_returns(times, equities, start=float(equities[0]))
        daily = [float(value) for value in returns]
        self._ratios = ratios(expected, daily)
        self._sharpe_ratio = sharpe_ratio(daily) if len(daily) >= MIN_RATIO_DAYS else None
