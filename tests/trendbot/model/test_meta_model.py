"""The model's bundle: what comes back is what was judged, to the last bit, in another process too."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.bundle import BundleError, Manifest, version_of
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_trendbot.model import meta_model as models
from nightdesk_trendbot.model.labels import Events
from nightdesk_trendbot.model.meta_model import (
    CALIBRATION,
    LINEAR,
    SCHEMA,
    THRESHOLDS,
    TREES,
    Calibration,
    LinearModel,
    MetaModel,
)
from nightdesk_trendbot.settings import EntrySettings
from nightdesk_trendbot.signals.signal import FEATURES

from tests.trendbot.conftest import publish

PREDICT = """
import sys
from pathlib import Path
import numpy as np
from nightdesk_core.models.bundle import Manifest
from nightdesk_trendbot.model import meta_model as model
folder = Path(sys.argv[1])
loaded = model.load(folder, Manifest.read(folder))
sys.stdout.buffer.write(loaded.predict(np.load(sys.argv[2])).tobytes())
"""


def test_a_bundle_predicts_what_the_trained_model_predicted_to_the_last_bit(
    model: MetaModel, events: Events, registry: ModelRegistry
) -> None:
    folder = registry.bundle(publish(registry, model))
    manifest = Manifest.read(folder)
    loaded = models.load(folder, manifest)
    assert loaded.predict(events.inputs).tobytes() == model.predict(events.inputs).tobytes()
    assert (loaded.version, loaded.trained_at, loaded.data_end) == (
        manifest.version,
        manifest.trained_at,
        MarketTime(20),
    )
    assert (loaded.out_of_fold, loaded.weights) == (model.out_of_fold, model.weights)
    assert loaded.calibration == model.calibration
    assert loaded.files() == model.files()


def test_known_failure_12_another_process_loads_the_bundle_and_predicts_the_same(
    model: MetaModel, events: Events, registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = registry.bundle(publish(registry, model))
    np.save(tmp_path / "inputs.npy", events.inputs)
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, folder, tmp_path / "inputs.npy"], capture_output=True, timeout=60, check=True
    )
    assert done.stdout == model.predict(events.inputs).tobytes()


def test_an_entry_s_probability_does_not_depend_on_its_company(model: MetaModel, events: Events) -> None:
    together = model.predict(events.inputs)
    for at in range(0, len(events), 37):
        assert model.predict(events.inputs[at : at + 1])[0] == together[at]
    assert len(model.predict(events.inputs[:0])) == 0


def test_probabilities_are_probabilities(model: MetaModel, events: Events) -> None:
    odd = np.vstack([events.inputs, 1e9 * events.inputs, -1e9 * events.inputs])
    found = model.predict(odd)
    assert ((found > 0) & (found < 1)).all()


def test_a_staged_model_is_loaded_without_a_manifest(model: MetaModel, registry: ModelRegistry) -> None:
    staged = registry.stage(model.files())
    loaded = models.load(staged, None)
    assert (loaded.version, loaded.trained_at, dict(loaded.backtest)) == (version_of(staged), WallTime(0.0), {})
    registry.add_to_stage(staged, {"backtest.json": b'{"sharpe_ratio": 1.5}'})
    assert models.load(staged, None).backtest == {"sharpe_ratio": 1.5}


def test_another_feature_schema_is_refused(model: MetaModel, registry: ModelRegistry) -> None:
    files = model.files()
    schema = json.loads(files[SCHEMA])
    schema["features"] = schema["features"][::-1]
    staged = registry.stage({**files, SCHEMA: json.dumps(schema).encode()})
    with pytest.raises(BundleError) as raised:
        models.load(staged, None)
    assert raised.value.reason == "was trained on other features than this release computes; retrain"


@pytest.mark.parametrize("name", [TREES, LINEAR, CALIBRATION, THRESHOLDS, SCHEMA])
@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"{}"])
def test_a_file_that_is_not_as_expected_is_refused(
    name: str, content: bytes | None, model: MetaModel, registry: ModelRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {**model.files(), name: content or b""}
    if content is None:
        del files[name]
    staged = registry.stage(files)
    with pytest.raises(BundleError, match="cannot be loaded: "):
        models.load(staged, None)


SMALL = {"mean": [0.0], "scale": [1.0], "coefficients": [1.0], "intercept": 0.0, "clip": 5.0, "weights": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("name", "key", "value", "reason"),
    [
        (THRESHOLDS, "out_of_fold", [], "out_of_fold holds no probabilities in ascending order"),
        (THRESHOLDS, "out_of_fold", [0.5, 0.4], "out_of_fold holds no probabilities in ascending order"),
        (THRESHOLDS, "out_of_fold", [0.5, 1.5], "out_of_fold holds no probabilities in ascending order"),
        (CALIBRATION, "slope", -1.0, "the slope is -1, and must be positive"),
        (LINEAR, "mean", [0.0], "the linear model is not of as many inputs everywhere"),
        (LINEAR, "", SMALL, f"the linear model is not of {len(FEATURES)} inputs"),
        (LINEAR, "scale", [0.0] * len(FEATURES), "the linear model's scale is not positive"),
        (LINEAR, "weights", [0.0, 0.0], "its weights are none"),
        ("backtest.json", "", [], "backtest.json holds no summary of a hold-out"),
        ("backtest.json", "days", [1], "backtest.json days: is no number, or too large a one"),
        ("backtest.json", "trades", 10**400, "backtest.json trades: is no number, or too large a one"),
        ("backtest.json", "win_ratio", "half", "backtest.json win_ratio: is no number, or too large a one"),
    ],
)
def test_what_would_stop_the_bot_once_it_trades_is_refused_before(
    name: str, key: str, value: object, reason: str, model: MetaModel, registry: ModelRegistry
) -> None:
    files = {**model.files(), "backtest.json": b'{"days": 120, "trades": 60}'}
    changed = {**json.loads(files[name]), key: value} if key else value
    staged = registry.stage({**files, name: json.dumps(changed).encode()})
    with pytest.raises(BundleError) as raised:
        models.load(staged, None)
    assert reason in raised.value.reason


def test_a_threshold_is_a_quantile_of_the_out_of_fold_probabilities(model: MetaModel) -> None:
    evenly = replace(model, out_of_fold=tuple(number / 1000 for number in range(101)))
    assert evenly.threshold(0.0) == 0.0
    assert evenly.threshold(0.6) == pytest.approx(0.06)
    assert evenly.threshold(0.605) == pytest.approx(0.0605)
    assert evenly.threshold(1.0) == pytest.approx(0.1)
    assert list(model.out_of_fold) == sorted(model.out_of_fold)
    for quantile in (0.0, 0.31, 0.6, 1.0):
        assert model.threshold(quantile) == pytest.approx(np.quantile(model.out_of_fold, quantile), rel=1e-12)


def test_the_rank_of_a_probability_is_the_share_below_it(model: MetaModel) -> None:
    evenly = replace(model, out_of_fold=tuple(number / 100 for number in range(100)))
    assert [evenly.rank(probability) for probability in (0.0, 0.25, 0.255, 2.0)] == [0.0, 0.25, 0.26, 1.0]
    assert [evenly.reaching(probability) for probability in (0.0, 0.25, 0.255, 2.0)] == [100, 75, 74, 0]


def test_a_probability_that_fewer_than_50_hold_out_trades_reach_is_refused_with_their_number(model: MetaModel) -> None:
    some = replace(model, out_of_fold=tuple(number / 100 for number in range(100)))
    entry = EntrySettings(threshold_mode="probability", threshold=0.51)
    assert some.refusal(entry) == (
        "trendbot.entry.threshold: a probability of 0.51 is reached by 49 of 100 hold-out trades, at least 50 are"
        " needed: lower it, or set trendbot.entry.threshold_mode to quantile or break_even"
    )
    assert some.refusal(EntrySettings(threshold_mode="probability", threshold=0.5)) == ""
    assert some.refusal(EntrySettings(threshold=0.99)) == ""


@given(
    slope=st.floats(0.05, 5), intercept=st.floats(-3, 3), first=st.floats(0.001, 0.999), second=st.floats(0.001, 0.999)
)
def test_calibration_keeps_the_order(slope: float, intercept: float, first: float, second: float) -> None:
    low, high = Calibration(slope, intercept).apply(np.array(sorted((first, second))))
    assert 0 < low <= high < 1


def test_importance_is_a_share_of_the_gain_of_every_input(model: MetaModel) -> None:
    shares = model.importance()
    assert set(shares) == set(FEATURES)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_a_model_s_files_are_written_as_in_the_first_release(model: MetaModel) -> None:
    linear = LinearModel((0.5, 1e-7), (1.0, 2.0), (0.25, -1e17), 0.125, 5.0)
    known = replace(
        model, linear=linear, weights=(0.6, 0.4), calibration=Calibration(1.5, -0.25), out_of_fold=(0.1, 0.2)
    )
    found = known.files()
    assert found[LINEAR] == (
        b'{\n "clip": 5.0,\n "coefficients": [\n  0.25,\n  -1e+17\n ],\n "intercept": 0.125,\n'
        b' "mean": [\n  0.5,\n  1e-07\n ],\n "scale": [\n  1.0,\n  2.0\n ],\n "weights": [\n  0.6,\n  0.4\n ]\n}\n'
    )
    assert found[CALIBRATION] == b'{\n "intercept": -0.25,\n "slope": 1.5\n}\n'
    assert found[THRESHOLDS] == b'{\n "out_of_fold": [\n  0.1,\n  0.2\n ]\n}\n'
    assert json.loads(found[SCHEMA]) == {"features": list(FEATURES)}
