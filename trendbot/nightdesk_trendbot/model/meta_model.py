"""The meta-model: LightGBM and logistic regression, blended and calibrated, stored without pickle."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files import stored
from nightdesk_core.files.durable import indented_json
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, read_text
from nightdesk_core.models.bundle import BundleError, Manifest, version_of

from nightdesk_trendbot.model.tree_text import check_trees
from nightdesk_trendbot.settings import EntrySettings
from nightdesk_trendbot.signals.candles import Floats
from nightdesk_trendbot.signals.signal import FEATURES

TREES = "lightgbm.txt"
LINEAR = "linear.json"
CALIBRATION = "calibration.json"
THRESHOLDS = "thresholds.json"
SCHEMA = "features.json"

_LARGEST_TREES_BYTES = 100_000_000
_ASKED = 512
_SHOWN = ("days", "trades", "win_ratio", "sharpe_ratio", "max_drawdown_ratio")
_LARGEST_SHOWN = 1e9
FEWEST_REACHING = 50
"""A probability that fewer hold-out trades reach is no threshold: the bot would hardly ever trade."""


@dataclass(frozen=True)
class LinearModel:
    """Logistic regression on standardised inputs that are clipped at `clip` standard deviations."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    clip: float

    def predict(self, inputs: Floats) -> Floats:
        """Return probabilities, shape (E,). Summed column by column: a row's value does not depend on its company."""
        total = np.full(len(inputs), self.intercept)
        for column, coefficient in enumerate(self.coefficients):
            standardised = (inputs[:, column] - self.mean[column]) / self.scale[column]
            total = total + coefficient * np.clip(standardised, -self.clip, self.clip)
        return np.asarray(1 / (1 + np.exp(-total)))


@dataclass(frozen=True)
class _Blended(LinearModel):
    """The linear model as it is stored: with the weights of trees and linear model in the blend."""

    weights: tuple[float, float]

    def __post_init__(self) -> None:
        """Raises `ValueError` where it cannot answer."""
        if not len(self.mean) == len(self.scale) == len(self.coefficients) > 0:
            raise ValueError("the linear model is not of as many inputs everywhere")
        if min(self.scale) <= 0 or self.clip < 0:
            raise ValueError("the linear model's scale is not positive")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("its weights are none")


@dataclass(frozen=True)
class _Schema:
    """The inputs that a model was trained on, as they are stored."""

    features: tuple[str, ...]


@dataclass(frozen=True)
class _Thresholds:
    """The purged probabilities that thresholds are quantiles of, as they are stored."""

    out_of_fold: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raises `ValueError` where no threshold can be found among them."""
        found = self.out_of_fold
        if not found or list(found) != sorted(found) or found[0] < 0 or found[-1] > 1:
            raise ValueError("out_of_fold holds no probabilities in ascending order")


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of the blended probability's log-odds; `slope` is positive, so the order is kept."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        """Raises `ValueError` where the order is not kept."""
        if self.slope <= 0:
            raise ValueError(f"the slope is {self.slope:g}, and must be positive")

    def apply(self, probability: Floats) -> Floats:
        """Return calibrated probabilities, shape (E,)."""
        clipped = np.clip(probability, 1e-6, 1 - 1e-6)
        return np.asarray(1 / (1 + np.exp(-(self.slope * np.log(clipped / (1 - clipped)) + self.intercept))))


@dataclass(frozen=True)
class MetaModel:
    """A frozen model. `out_of_fold` are the purged probabilities of the entries that the regime allowed, ascending."""

    version: str
    trained_at: WallTime
    data_end: MarketTime
    trees: lightgbm.Booster
    linear: LinearModel
    weights: tuple[float, float]
    calibration: Calibration
    out_of_fold: tuple[float, ...]
    backtest: Mapping[str, Any]
    """The summary of its hold-out; empty while that is still to come."""

    def predict(self, inputs: Floats) -> Floats:
        """Return the probability that each of E entries earns more than it costs. `inputs` has shape (E, features)."""
        if len(inputs) == 0:
            return np.empty(0)
        trees = np.asarray(self.trees.predict(inputs, num_threads=1))
        blended = self.weights[0] * trees + self.weights[1] * self.linear.predict(inputs)
        return self.calibration.apply(blended)

    def threshold(self, quantile: float) -> float:
        """Return the probability at a quantile (0 to 1) of the out-of-fold probabilities."""
        position = quantile * (len(self.out_of_fold) - 1)
        before = int(position)
        after = min(before + 1, len(self.out_of_fold) - 1)
        low, high = self.out_of_fold[before], self.out_of_fold[after]
        return low + (high - low) * (position - before)

    def rank(self, probability: float) -> float:
        """Return the share (0 to 1) of the out-of-fold probabilities that lie below one."""
        return bisect_left(self.out_of_fold, probability) / len(self.out_of_fold)

    def reaching(self, probability: float) -> int:
        """Return how many of the out-of-fold probabilities reach one."""
        return len(self.out_of_fold) - bisect_left(self.out_of_fold, probability)

    def importance(self) -> dict[str, float]:
        """Return each input's share (0 to 1) of what the trees gained by their splits, the largest first."""
        gains = self.trees.feature_importance(importance_type="gain")
        shares = gains / max(float(gains.sum()), 1e-12)
        return {FEATURES[index]: round(float(shares[index]), 4) for index in np.argsort(-shares, kind="stable")}

    def refusal(self, entry: EntrySettings) -> str:
        """Return why the model cannot be used with a threshold that is a probability; empty where it can."""
        if entry.threshold_mode != "probability" or self.reaching(entry.threshold) >= FEWEST_REACHING:
            return ""
        return (
            f"trendbot.entry.threshold: a probability of {entry.threshold:g} is reached by"
            f" {self.reaching(entry.threshold)} of {len(self.out_of_fold)} hold-out trades, at least {FEWEST_REACHING}"
            " are needed: lower it, or set trendbot.entry.threshold_mode to quantile or break_even"
        )

    def files(self) -> dict[str, bytes]:
        """Return what a bundle holds of the model."""
        return {
            TREES: self.trees.model_to_string().encode(),
            LINEAR: _json(_Blended(**vars(self.linear), weights=self.weights)),
            CALIBRATION: _json(self.calibration),
            THRESHOLDS: _json(_Thresholds(self.out_of_fold)),
            SCHEMA: _json(_Schema(FEATURES)),
        }


def load(folder: Path, manifest: Manifest | None) -> MetaModel:
    """Return the model in a bundle's folder, or in a staged one that has no manifest yet.

    Raises `BundleError` where its features are not the ones that this release computes, a file is not as expected, or
    the model gives no answer when it is asked. LightGBM checks little of what it reads: broken trees may end the
    process, which is why a `BundleTrial` comes before.
    """
    try:
        found = _read(folder, manifest)
        _ask(found)
    except InputError as error:
        raise BundleError(folder, f"cannot be loaded: {Path(error.source).name} {error.reason}") from error
    except (ValueError, lightgbm.basic.LightGBMError) as error:
        raise BundleError(folder, f"cannot be loaded: {error}") from error
    return found


def _ask(model: MetaModel) -> None:
    """Ask a model as the bot will. Raises `ValueError` where it answers with what is no probability."""
    inputs = np.random.default_rng(0).normal(scale=3.0, size=(_ASKED, len(FEATURES)))
    answers = model.predict(inputs)
    if not bool(np.all((answers >= 0) & (answers <= 1))):
        raise ValueError("it answers with what is no probability")


def _read(folder: Path, manifest: Manifest | None) -> MetaModel:
    if stored.read(_Schema, folder / SCHEMA).features != FEATURES:
        raise BundleError(folder, "was trained on other features than this release computes; retrain")
    blended = stored.read(_Blended, folder / LINEAR)
    if len(blended.mean) != len(FEATURES):
        raise ValueError(f"the linear model is not of {len(FEATURES)} inputs")
    summary = folder / "backtest.json"
    trees = read_text(folder / TREES, largest=_LARGEST_TREES_BYTES)
    check_trees(trees, features=len(FEATURES))
    return MetaModel(
        version=manifest.version if manifest else version_of(folder),
        trained_at=manifest.trained_at if manifest else WallTime(0.0),
        data_end=manifest.data_end if manifest else MarketTime(0),
        trees=lightgbm.Booster(model_str=trees),
        linear=LinearModel(**{field.name: getattr(blended, field.name) for field in fields(LinearModel)}),
        weights=blended.weights,
        calibration=stored.read(Calibration, folder / CALIBRATION),
        out_of_fold=stored.read(_Thresholds, folder / THRESHOLDS).out_of_fold,
        backtest=_summary(summary) if summary.exists() else {},
    )


def _summary(path: Path) -> Mapping[str, Any]:
    """Return what a hold-out came to. Raises `ValueError` where what the bot shows of it is no number."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no summary of a hold-out")
    for name in _SHOWN:
        value = found.get(name)
        if value is not None and not (isinstance(value, int | float) and abs(value) <= _LARGEST_SHOWN):
            raise ValueError(f"{path.name} {name}: is no number, or too large a one")
    return found


def _json(record: object) -> bytes:
    return indented_json(stored.plain(record), indent=1)
