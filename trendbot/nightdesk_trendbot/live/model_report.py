"""What the live loop tells the exporter of its model: which it is, what it promised, and what it has delivered."""

from __future__ import annotations

import numpy as np
from nightdesk_core.clock import MarketTime, TimeScale
from nightdesk_core.journal.journal import Journal, JournalError
from nightdesk_core.measures import sharpe_ratio
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import BotExporter
from nightdesk_guard import Expected, LiveMeasures
from nightdesk_guard.expectation import MIN_RATIO_DAYS, Ratios, ratios

from nightdesk_trendbot.model.backtest import daily_returns
from nightdesk_trendbot.model.champion import ChampionWatch


class ModelReport:
    """Tells one exporter of one bot's model."""

    def __init__(self, exporter: BotExporter, scale: TimeScale, journal: Journal) -> None:
        self._exporter = exporter
        self._scale = scale
        self._journal = journal
        self._measured = (0, MarketTime(0))
        """The day that the ratios are of, and the close since which their model was in use then."""
        self._ratios = Ratios(None, None)
        self._sharpe_ratio: float | None = None

    def model(self, watch: ChampionWatch) -> None:
        """Tell which model is in use."""
        if watch.deployment is None or watch.champion is None:
            self._exporter.no_model()
            return
        model = watch.deployment.model
        standing, data_end = watch.champion.standing, float(model.data_end.seconds)
        self._exporter.model(model.version, trained_at=model.trained_at.seconds, standing=standing, data_end=data_end)
        backtest = model.backtest
        seconds = DAY_SECONDS * (backtest.get("days") or 0) / max(backtest.get("trades") or 0, 1)
        self._exporter.promised(
            win_ratio=backtest.get("win_ratio"),
            sharpe_ratio=backtest.get("sharpe_ratio"),
            max_drawdown_ratio=backtest.get("max_drawdown_ratio"),
            trade_interval_seconds=self._scale.interval(seconds),
        )

    def measures(
        self, now: MarketTime, model_since: MarketTime, expected: Expected, probation_share: float | None
    ) -> LiveMeasures:
        """Return what the bot has measured of the model that it has used from one time until another, `now`.

        Sharpe ratio and drawdown are of daily returns: they are worked out once a day.
        """
        measured = (now.day, model_since)
        if measured != self._measured:
            self._measured = measured
            self._ratios, self._sharpe_ratio = self._measure(model_since, expected)
        return LiveMeasures(self._sharpe_ratio, self._ratios, probation_share)

    def _measure(self, model_since: MarketTime, expected: Expected) -> tuple[Ratios, float | None]:
        try:
            points = self._journal.equity(after=model_since - 1)
        except JournalError:  # a disk that does not answer: what is not known is not shown
            points = []
        if not points:
            return Ratios(None, None), None
        times = np.array([time.whole_seconds for time, _ in points])
        equities = np.array([equity for _, equity in points])
        _, returns = daily_returns(times, equities, start=float(equities[0]))
        daily = [float(value) for value in returns]
        return ratios(expected, daily), sharpe_ratio(daily) if len(daily) >= MIN_RATIO_DAYS else None
