"""Fitting. Calibration, thresholds and the ensemble's weights come from purged out-of-fold predictions.

Folds are fitted in parallel, by joblib: on the cores of this machine, or wherever its configuration says.
"""

from __future__ import annotations

import itertools

import lightgbm
import numpy as np
from joblib import delayed
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.pipeline import Progress, TrainingError
from sklearn.linear_model import LogisticRegression

from nightdesk_trendbot.model.labels import Events
from nightdesk_trendbot.model.meta_model import Calibration, LinearModel, MetaModel
from nightdesk_trendbot.model.parallel import done_in_parallel
from nightdesk_trendbot.settings import ModelSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Floats

_MIN_EVENTS = 200
_MIN_ALLOWED = 50
_ROUNDS = 120
_CLIP = 5.0
_STEPS = 20
"""Of the ensemble's weight, where it is found and not set: finer than 0.05 is noise."""

Weights = tuple[float, float]


def train(events: Events, bot: TrendbotSettings, *, progress: Progress) -> MetaModel:
    """Return a model fitted on all of `events`.

    Raises `TrainingError` where there are too few events, or only winners or losers among them, or where too few reach
    a threshold that is a probability.
    """
    settings = bot.model
    if len(events) < _MIN_EVENTS:
        raise TrainingError(
            f"only {len(events)} labelled breakouts, at least {_MIN_EVENTS} are needed: collect more history"
        )
    masks = folds(events, settings)
    # The last task is the model itself. Its trees come back as text, as they will lie in the bundle.
    tasks = [
        *(delayed(_out_of_fold)(events.select(learn), events.inputs[judge], settings) for learn, judge in masks),
        delayed(_whole)(events, settings),
    ]
    progress("fit", 0.0)
    *predictions, (text, linear) = done_in_parallel(tasks, progress=lambda share: progress("fit", share))
    judged = events.select(np.concatenate([np.flatnonzero(judge) for _, judge in masks]))
    trees_say, linear_says = np.concatenate(predictions, axis=1)
    weights = settings.ensemble_weights
    if weights == "auto":
        weights = best_weights(trees_say, linear_says, judged)
    blended = weights[0] * trees_say + weights[1] * linear_says
    calibration = _calibrate(blended, judged)
    if judged.allowed.sum() < _MIN_ALLOWED:
        raise TrainingError(
            f"the regime allows only {judged.allowed.sum()} out-of-fold breakouts, at least {_MIN_ALLOWED} are needed"
            " for a threshold: collect more history or widen trendbot.regime"
        )
    model = MetaModel(
        version="",
        trained_at=WallTime(0.0),
        data_end=MarketTime(0),
        trees=lightgbm.Booster(model_str=text),
        linear=linear,
        weights=weights,
        calibration=calibration,
        out_of_fold=tuple(sorted(float(value) for value in calibration.apply(blended[judged.allowed]))),
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


def best_weights(trees: Floats, linear: Floats, judged: Events) -> Weights:
    """Return the weights by which E out-of-fold probabilities, both of shape (E,), blend to the least log loss.

    Of equal ones the first: the trees' weight as small as may be.
    """
    found = []
    for step in range(_STEPS + 1):
        first = step / _STEPS
        blend = np.clip(first * trees + (1 - first) * linear, 1e-9, 1 - 1e-9)
        found.append(float(judged.uniqueness @ -np.log(np.where(judged.won == 1, blend, 1 - blend))))
    best = int(np.argmin(found)) / _STEPS
    return best, 1 - best


def _out_of_fold(learn: Events, inputs: Floats, settings: ModelSettings) -> Floats:
    """Return what trees and linear model, fitted on `learn`, say of other events' inputs, shape (2, E)."""
    trees, linear = _fit(learn, settings)
    return np.stack([np.asarray(trees.predict(inputs, num_threads=1)), linear.predict(inputs)])


def _whole(events: Events, settings: ModelSettings) -> tuple[str, LinearModel]:
    trees, linear = _fit(events, settings)
    return trees.model_to_string(), linear


def _fit(events: Events, settings: ModelSettings) -> tuple[lightgbm.Booster, LinearModel]:
    if len(np.unique(events.won)) < 2:
        raise TrainingError(f"all {len(events)} labelled breakouts end alike: there is nothing to learn")
    weight = events.uniqueness / events.uniqueness.mean()
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
        lightgbm.Dataset(events.inputs, label=events.won, weight=weight),
        num_boost_round=_ROUNDS,
    )
    mean = events.inputs.mean(axis=0)
    scale = np.maximum(events.inputs.std(axis=0), 1e-9)
    standardised = np.clip((events.inputs - mean) / scale, -_CLIP, _CLIP)
    logistic = LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=1000)
    logistic.fit(standardised, events.won, sample_weight=weight)
    linear = LinearModel(
        tuple(map(float, mean)),
        tuple(map(float, scale)),
        tuple(map(float, logistic.coef_[0])),
        float(logistic.intercept_[0]),
        _CLIP,
    )
    return trees, linear


def _calibrate(blended: Floats, judged: Events) -> Calibration:
    """Return Platt's scaling (1999). A slope that is not positive means no skill: then only the level is calibrated."""
    clipped = np.clip(blended, 1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped))
    weight = judged.uniqueness / judged.uniqueness.mean()
    fitted = LogisticRegression(C=1e6, solver="newton-cholesky")
    fitted.fit(odds.reshape(-1, 1), judged.won, sample_weight=weight)
    slope = float(fitted.coef_[0][0])
    if slope > 0.05:
        return Calibration(slope, float(fitted.intercept_[0]))
    share = float(np.clip(np.average(judged.won, weights=weight), 0.01, 0.99))
    return Calibration(0.05, float(np.log(share / (1 - share)) - 0.05 * np.average(odds, weights=weight)))
