"""Labels and fitting. Nothing here looks past `until`: a label counts only once its barrier was reached before it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
from nightdesk_core.pipeline import Progress, TrainingError
from numba import njit
from sklearn.linear_model import LogisticRegression

from nightdesk_trendbot import broker, indicators
from nightdesk_trendbot.broker import Order
from nightdesk_trendbot.candles import Candles, Floats, Ints
from nightdesk_trendbot.model import Calibration, LinearModel, MetaModel
from nightdesk_trendbot.regime import classify
from nightdesk_trendbot.rules import Rules, barriers_at, costs_at
from nightdesk_trendbot.settings import ModelSettings, TrendbotSettings
from nightdesk_trendbot.signals import breakout_sides, features, regime_side

_MIN_EVENTS = 200
_MIN_ALLOWED = 50
_ROUNDS = 120
_CLIP = 5.0


@dataclass(frozen=True)
class Events:
    """E breakouts with their labels, oldest first. Times are market time in Unix seconds."""

    inputs: Floats
    """Shape (E, features)."""
    won: Ints
    """1 where the trade would have earned more than it cost, shape (E,)."""
    decided_at: Ints
    """The close of the bar that broke out, shape (E,)."""
    label_end: Ints
    """The close of the bar that ended the trade, shape (E,)."""
    allowed: np.ndarray
    """Whether the regime let the bot act on it, shape (E,): the model learns from all, its threshold from these."""

    def __len__(self) -> int:
        return len(self.won)

    def select(self, mask: np.ndarray) -> Events:
        """Return the events where `mask`, shape (E,), is true."""
        return Events(
            self.inputs[mask], self.won[mask], self.decided_at[mask], self.label_end[mask], self.allowed[mask]
        )


def label_events(candles: Candles, settings: TrendbotSettings) -> Events:
    """Return every breakout in one symbol's `candles` whose trade ended within them, labelled by the engine's rules."""
    lengths = indicators.IndicatorBars.of(settings.regime, settings.entry, settings.sizing)
    rows = indicators.compute(candles, lengths)
    sides = breakout_sides(rows, candles.close)
    at = np.flatnonzero(sides)
    volatility = rows[:, indicators.COLUMN["volatility"]] * np.sqrt(86_400 / candles.interval_seconds)
    profit, end = walk(*_columns(candles), candles.interval_seconds, at, sides[at], volatility, Rules.of(settings))
    done = end >= 0
    at, end, profit = at[done], end[done], profit[done]
    close_time = candles.time + candles.interval_seconds
    inputs = features(rows[at], candles.close[at], close_time[at], sides[at])
    regimes = classify(rows, candles.close, settings.regime)
    allowed = [regime_side(rows[i], candles.close[i], regimes[i], settings) != 0 for i in at]
    return Events(inputs, (profit > 0).astype(np.int64), close_time[at], close_time[end], np.array(allowed, dtype=bool))


def pooled(parts: Sequence[Events]) -> Events:
    """Return the events of several symbols as one history: the model learns from all, and knows none by name."""
    decided_at = np.concatenate([part.decided_at for part in parts])
    order = np.argsort(decided_at, kind="stable")
    return Events(
        np.concatenate([part.inputs for part in parts])[order],
        np.concatenate([part.won for part in parts])[order],
        decided_at[order],
        np.concatenate([part.label_end for part in parts])[order],
        np.concatenate([part.allowed for part in parts])[order],
    )


def _columns(candles: Candles) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
    return candles.time, candles.open, candles.high, candles.low, candles.close, candles.funding


@njit(cache=True)
def walk(
    time: Ints,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    funding: Floats,
    interval: int,
    at: Ints,
    sides: Ints,
    volatility: Floats,
    rules: Rules,
) -> tuple[Floats, Ints]:
    """Return each event's net profit per unit of notional, and the index of the bar that ended it (-1: none did).

    Of N bars, all columns and `volatility` (a day's, at each close) have shape (N,); `at` and `sides` that of events.
    """
    profit = np.zeros(len(at))
    end = np.full(len(at), -1)
    for event in range(len(at)):
        barriers = barriers_at(rules, volatility[at[event]])
        account = broker.place(broker.flat(0.0), Order(sides[event], 1.0, 1.0, barriers))
        for i in range(at[event] + 1, len(close)):
            costs = costs_at(rules, volatility[i - 1])
            account = broker.at_open(account, time[i], open_[i], costs)
            done = broker.at_close(
                account, time[i], open_[i], high[i], low[i], close[i], funding[i], time[i] + interval, costs
            )
            account = done.account
            if done.reason != 0:
                profit[event] = done.profit
                end[event] = i
                break
    return profit, end


def train(events: Events, bot: TrendbotSettings, *, progress: Progress) -> MetaModel:
    """Return a model fitted on all of `events`; calibration and thresholds come from purged out-of-fold predictions.

    Raises `TrainingError` where there are too few events, or only winners or losers among them, or where too few reach
    a threshold that is a probability.
    """
    settings = bot.model
    if len(events) < _MIN_EVENTS:
        raise TrainingError(
            f"only {len(events)} labelled breakouts, at least {_MIN_EVENTS} are needed: collect more history"
        )
    out_of_fold: list[Floats] = []
    judged: list[Events] = []
    for number, (learn, judge) in enumerate(folds(events, settings)):
        progress("fit", number / (settings.folds + 1))
        judged.append(events.select(judge))
        out_of_fold.append(_blend(*_fit(events.select(learn), settings), settings, judged[-1].inputs))
    progress("fit", settings.folds / (settings.folds + 1))
    blended = np.concatenate(out_of_fold)
    calibration = _calibrate(blended, np.concatenate([part.won for part in judged]))
    allowed = np.concatenate([part.allowed for part in judged])
    if allowed.sum() < _MIN_ALLOWED:
        raise TrainingError(
            f"the regime allows only {allowed.sum()} out-of-fold breakouts, at least {_MIN_ALLOWED} are needed for a"
            " threshold: collect more history or widen trendbot.regime"
        )
    trees, linear = _fit(events, settings)
    model = MetaModel(
        version="",
        trained_at=0.0,
        data_end=0.0,
        trees=trees,
        linear=linear,
        weights=settings.ensemble_weights,
        calibration=calibration,
        out_of_fold=tuple(sorted(float(value) for value in calibration.apply(blended[allowed]))),
        backtest={},
    )
    refusal = model.refusal(bot.entry)
    if refusal:
        raise TrainingError(refusal)
    return model


def folds(events: Events, settings: ModelSettings) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return walk-forward (learn, judge) masks, each of shape (E,).

    Purged and embargoed: every label that is learnt from ends an embargo before the first event that is judged.
    """
    edges = np.linspace(0, len(events), settings.folds + 2).astype(int)
    index = np.arange(len(events))
    embargo = int(settings.embargo_hours * 3600)
    masks = []
    for start, stop in itertools.pairwise(edges[1:]):
        judge = (index >= start) & (index < stop)
        learn = events.label_end + embargo <= events.decided_at[start]
        masks.append((learn, judge))
    return masks


def _fit(events: Events, settings: ModelSettings) -> tuple[lightgbm.Booster, LinearModel]:
    if len(np.unique(events.won)) < 2:
        raise TrainingError(f"all {len(events)} labelled breakouts end alike: there is nothing to learn")
    trees = lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": 7,
            "min_data_in_leaf": 40,
            "learning_rate": 0.03,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "seed": settings.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        },
        lightgbm.Dataset(events.inputs, label=events.won),
        num_boost_round=_ROUNDS,
    )
    mean = events.inputs.mean(axis=0)
    scale = np.maximum(events.inputs.std(axis=0), 1e-9)
    standardised = np.clip((events.inputs - mean) / scale, -_CLIP, _CLIP)
    logistic = LogisticRegression(C=0.1, max_iter=1000, random_state=settings.seed).fit(standardised, events.won)
    linear = LinearModel(
        tuple(map(float, mean)),
        tuple(map(float, scale)),
        tuple(map(float, logistic.coef_[0])),
        float(logistic.intercept_[0]),
        _CLIP,
    )
    return trees, linear


def _blend(trees: lightgbm.Booster, linear: LinearModel, settings: ModelSettings, inputs: Floats) -> Floats:
    first, second = settings.ensemble_weights
    return np.asarray(first * np.asarray(trees.predict(inputs, num_threads=1)) + second * linear.predict(inputs))


def _calibrate(blended: Floats, won: Ints) -> Calibration:
    """Return Platt's scaling (1999). A slope that is not positive means no skill: then only the level is calibrated."""
    clipped = np.clip(blended, 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped)).reshape(-1, 1)
    fitted = LogisticRegression(C=1e6).fit(odds, won)
    slope = float(fitted.coef_[0][0])
    if slope > 0.05:
        return Calibration(slope, float(fitted.intercept_[0]))
    share = float(np.clip(won.mean(), 0.01, 0.99))
    return Calibration(0.05, float(np.log(share / (1 - share)) - 0.05 * odds.mean()))
