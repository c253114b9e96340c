"""What the reference strategy says at a candle's close. One implementation for a single live bar and for a backtest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import GuardProfile, GuardStatus, ModelInUse, PerformanceGuard, probation_share

from nightdesk_trendbot.engine.rules import Rules, break_even_win_rate
from nightdesk_trendbot.engine.state import EngineState
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import indicators
from nightdesk_trendbot.signals.candles import Candles
from nightdesk_trendbot.signals.regime import classify
from nightdesk_trendbot.signals.signal import (
    Outcome,
    Permission,
    Signal,
    breakout_side,
    daily_volatility,
    features,
    leverage_for,
    regime_side,
)

_HIGHEST_QUANTILE = 0.99


@dataclass(frozen=True)
class Deployment:
    """A model in use, and the share of its size at which its standing lets it trade."""

    model: MetaModel
    size_share: float = 1.0
    on_probation: bool = False
    """Whether it also has to earn its size: see `nightdesk_guard.probation`."""
    profile: GuardProfile | None = None
    """What the model's hold-out says of it, for the guard."""

    @property
    def in_use(self) -> ModelInUse:
        """The model as the guard knows it."""
        return ModelInUse(self.model.version, self.profile)


def bars_needed(settings: TrendbotSettings) -> int:
    """Return how many bars, up to and including one, its signal is computed from."""
    return indicators.WINDOW + settings.regime.memory_bars - 1


class Strategy:
    """Regime, breakout and model, by the settings."""

    def __init__(self, settings: TrendbotSettings) -> None:
        self.settings = settings
        self._lengths = indicators.IndicatorBars.of(settings.regime, settings.entry, settings.sizing)
        self._rules = Rules.of(settings)

    def signals(self, candles: Candles, model: MetaModel | None, *, first: int) -> list[Signal]:
        """Return one signal for each bar from index `first` on; the bars before it are what they are computed from.

        The model is asked once, for the bars that have a side left. Bars with fewer than `indicators.WINDOW` bars up to
        and including them have an unknown regime and no signal.
        """
        start = max(0, first - bars_needed(self.settings) + 1)
        rows = indicators.compute(candles.slice(start, len(candles)), self._lengths)
        regimes = classify(rows, candles.close[start:], self.settings.regime)
        bars_a_day = DAY_SECONDS / candles.interval_seconds
        found = []
        for index in range(first, len(candles)):
            row, close, regime = rows[index - start], float(candles.close[index]), regimes[index - start]
            volatility = daily_volatility(row, bars_a_day=bars_a_day)
            found.append(
                Signal(
                    regime=regime,
                    breakout=breakout_side(row, close),
                    side=regime_side(row, close, regime, self.settings),
                    probability=None,
                    leverage=leverage_for(volatility, regime, self.settings),
                    volatility=volatility,
                )
            )
        asked = [position for position, signal in enumerate(found) if signal.side != 0]
        if model is None or not asked:
            return found
        at = np.array(asked) + first
        sides = np.array([found[position].side for position in asked])
        close_time = candles.time[at] + candles.interval_seconds
        probabilities = model.predict(features(rows[at - start], candles.close[at], close_time, sides))
        for position, probability in zip(asked, probabilities, strict=True):
            found[position] = replace(found[position], probability=float(probability))
        return found

    def permission(
        self,
        deployment: Deployment | None,
        guard: PerformanceGuard | None,
        state: EngineState,
        signal: Signal,
        *,
        killed: bool = False,
        blocked: Outcome | None = None,
    ) -> Permission:
        """Return what the bot is allowed on a signal, with a model in use, its guard and its trades in a state."""
        if deployment is None:
            return Permission(model_loaded=False, killed=killed, blocked=blocked)
        status = GuardStatus.NORMAL if guard is None else state.guard.status
        multiplier = 1.0 if guard is None else guard.size_multiplier(status)
        increase = 0.0 if guard is None else guard.threshold_increase(status)
        return Permission(
            model_loaded=True,
            killed=killed,
            blocked=blocked,
            guard=status,
            size_share=multiplier * deployment.size_share * _earned(deployment, guard, state),
            threshold=self.threshold(deployment.model, signal.volatility, increase=increase),
        )

    def threshold(self, model: MetaModel, volatility: float, *, increase: float = 0.0) -> float:
        """Return the probability from which on the bot enters at a day's volatility.

        `increase` shuts out as large a share more of the model's out-of-fold probabilities, whatever the mode.
        """
        entry = self.settings.entry
        if entry.threshold_mode == "quantile":
            return model.threshold(min(entry.threshold + increase, _HIGHEST_QUANTILE))
        base = entry.threshold
        if entry.threshold_mode == "break_even":
            base = break_even_win_rate(self._rules, volatility) + entry.break_even_margin
        if increase == 0.0:
            return base
        return max(base, model.threshold(min(model.rank(base) + increase, _HIGHEST_QUANTILE)))


def _earned(deployment: Deployment, guard: PerformanceGuard | None, state: EngineState) -> float:
    """Return the share of its size that a model has earned."""
    if not deployment.on_probation or guard is None:
        return 1.0
    days = (state.last_close - state.guard.model_since) / DAY_SECONDS
    return probation_share(guard.settings.probation, trades=state.guard.model_trades, days=days)
