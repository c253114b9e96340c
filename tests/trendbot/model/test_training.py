"""Labels by the engine's own rules, folds that do not leak, and the same model twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.models.pipeline import TrainingError
from nightdesk_trendbot.model import backtest, training
from nightdesk_trendbot.model import meta_model as models
from nightdesk_trendbot.model.labels import Events, label_events, pooled, uniqueness
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment, Strategy
from nightdesk_trendbot.model.training import best_weights, folds, train
from nightdesk_trendbot.settings import EntrySettings, ModelSettings, RegimeSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles, Ints
from nightdesk_trendbot.signals.regime import Regime
from pydantic import ValidationError

from tests.trendbot.conftest import HOUR, KNOWN, silent


def made_of(decided_at: Ints, label_end: Ints, won: Ints | None = None) -> Events:
    """Return events of which only the times, and perhaps the labels, matter."""
    count = len(decided_at)
    labels = np.arange(count) % 2 if won is None else won
    return Events(np.zeros((count, 15)), labels, decided_at, label_end, np.ones(count, dtype=bool), np.ones(count))


@settings(max_examples=60)
@given(
    gaps=st.lists(st.integers(1, 30), min_size=40, max_size=120),
    lengths=st.data(),
    count=st.integers(2, 6),
    embargo=st.integers(0, 48),
)
def test_no_label_that_is_learnt_from_ends_within_the_embargo_before_the_judged_block(
    gaps: list[int], lengths: st.DataObject, count: int, embargo: int
) -> None:
    decided_at = np.cumsum(np.array(gaps, dtype=np.int64)) * HOUR
    held = lengths.draw(st.lists(st.integers(1, 40), min_size=len(gaps), max_size=len(gaps)))
    events = made_of(decided_at, decided_at + np.array(held, dtype=np.int64) * HOUR)
    judged = np.zeros(len(events), dtype=int)
    for learn, judge in folds(events, ModelSettings(folds=count, embargo_hours=embargo)):
        begins = events.decided_at[judge].min()
        assert (events.label_end[learn] + embargo * HOUR <= begins).all()
        assert (events.decided_at[learn] < begins).all()
        assert not (learn & judge).any()
        kept_out = ~learn & (events.decided_at < begins)
        assert (events.label_end[kept_out] + embargo * HOUR > begins).all()
        judged += judge
    first = len(events) // (count + 1)
    assert (judged[:first] == 0).all()
    assert (judged[first:] == 1).all()


@settings(max_examples=60)
@given(
    hours=st.lists(st.lists(st.integers(0, 300), max_size=80), min_size=1, max_size=3),
    held=st.integers(1, 40),
    embargo=st.integers(0, 48),
)
def test_events_of_several_symbols_are_one_history_in_order_and_purged_over_all_of_them(
    hours: list[list[int]], held: int, embargo: int
) -> None:
    parts = []
    for number, opened in enumerate(hours):
        decided_at = np.sort(np.array(opened, dtype=np.int64)) * HOUR
        # Each symbol holds for another time; its rows say which symbol they are of, and which of its rows.
        part = made_of(decided_at, decided_at + held * (number + 1) * HOUR)
        labels = np.column_stack([np.full(len(part), number), np.arange(len(part))])
        parts.append(replace(part, inputs=labels, allowed=decided_at % (2 * HOUR) == 0))
    together = pooled(parts)
    assert len(together) == sum(map(len, parts))
    assert (np.diff(together.decided_at) >= 0).all()
    for number, part in enumerate(parts):
        found = together.select(together.inputs[:, 0] == number)
        for name in ("inputs", "won", "decided_at", "label_end", "allowed"):
            np.testing.assert_array_equal(getattr(found, name), getattr(part, name))
    ties = np.flatnonzero(np.diff(together.decided_at) == 0)
    assert (together.inputs[ties, 0] <= together.inputs[ties + 1, 0]).all()
    if len(together) < 20:
        return
    for learn, judge in folds(together, ModelSettings(folds=3, embargo_hours=embargo)):
        begins = together.decided_at[judge].min()
        assert (together.label_end[learn] + embargo * HOUR <= begins).all()


def test_training_twice_gives_the_same_bytes(events: Events, settings: TrendbotSettings, model: MetaModel) -> None:
    assert train(events, settings, progress=silent).files() == model.files()
    other = train(events, settings.model_copy(update={"model": ModelSettings(seed=8)}), progress=silent)
    assert other.files() != model.files()


def test_the_threshold_lets_its_share_of_allowed_out_of_fold_events_pass(
    events: Events, settings: TrendbotSettings, model: MetaModel
) -> None:
    found = []
    for learn, judge in folds(events, settings.model):
        trees, linear = training._fit(events.select(learn), settings.model)
        part = events.select(judge)
        blended = 0.7 * np.asarray(trees.predict(part.inputs)) + 0.3 * linear.predict(part.inputs)
        found.append(model.calibration.apply(blended)[part.allowed])
    probabilities = np.concatenate(found)
    assert np.mean(probabilities >= model.threshold(0.6)) == pytest.approx(0.4, abs=0.01)
    assert np.array_equal(model.out_of_fold, np.sort(probabilities))


def test_known_failure_18_the_quantile_threshold_trades_where_a_probability_of_06_would_not(
    candles: Candles, settings: TrendbotSettings, model: MetaModel
) -> None:
    def trades_at(least: float | None) -> int:
        used = model if least is None else replace(model, out_of_fold=(least,))
        start, end = float(candles.time[KNOWN]), float(candles.time[-1] + HOUR)
        found = backtest.evaluate({"BTC/USDT:USDT": candles}, settings, Deployment(used), start=start, end=end)
        return len(found.trades)

    assert settings.entry.threshold == 0.6
    assert trades_at(0.6) == 0
    assert model.threshold(0.6) < 0.6
    assert trades_at(None) >= 15


def test_a_label_says_what_the_engine_would_have_earned(candles: Candles, settings: TrendbotSettings) -> None:
    part = candles.slice(0, 1200)
    events = label_events(part, settings)
    target, stop = settings.barriers.target_ratio, settings.barriers.stop_ratio
    checked = 0
    for at in range(0, len(events), 7):
        entry = int(np.searchsorted(part.time, events.decided_at[at]))
        end = int(np.searchsorted(part.time + HOUR, events.label_end[at]))
        fill = part.open[entry] * (1 + 0.00015)
        later = slice(entry, end + 1)
        long = part.close[entry - 1] > part.high[entry - 25 : entry - 1].max()
        if not long:
            continue
        stopped = part.low[later] <= fill * (1 - stop)
        reached = part.high[later] >= fill * (1 + target)
        if events.won[at] and reached.any():
            assert not stopped.any()
        if stopped[-1]:
            assert events.won[at] == 0
        assert not stopped[:-1].any()
        assert not reached[:-1].any()
        assert end - entry < settings.barriers.holding_hours
        checked += 1
    assert checked > 5


def test_a_trade_that_has_not_ended_has_no_label(candles: Candles, settings: TrendbotSettings) -> None:
    events = label_events(candles.slice(0, 1000), settings)
    assert (events.label_end <= candles.time[999] + HOUR).all()
    assert (events.label_end > events.decided_at).all()


def test_too_few_events_are_refused(events: Events, settings: TrendbotSettings) -> None:
    few = events.select(np.arange(len(events)) < 199)
    with pytest.raises(TrainingError) as raised:
        train(few, settings, progress=silent)
    assert str(raised.value) == "only 199 labelled breakouts, at least 200 are needed: collect more history"
    assert raised.value.exit_code == 4


def test_events_that_all_end_alike_are_refused(events: Events, settings: TrendbotSettings) -> None:
    alike = replace(events, won=np.zeros_like(events.won))
    with pytest.raises(TrainingError, match="labelled breakouts end alike: there is nothing to learn"):
        train(alike, settings, progress=silent)


def test_a_regime_that_allows_too_little_is_refused_with_what_to_do(events: Events, settings: TrendbotSettings) -> None:
    narrow = replace(events, allowed=np.zeros_like(events.allowed))
    with pytest.raises(TrainingError) as raised:
        train(narrow, settings, progress=silent)
    assert str(raised.value) == (
        "the regime allows only 0 out-of-fold breakouts, at least 50 are needed for a threshold: collect more history "
        "or widen trendbot.regime"
    )


def test_progress_only_grows(events: Events, settings: TrendbotSettings) -> None:
    told: list[float] = []
    train(events, settings, progress=lambda _, share: told.append(share))
    assert told == sorted(told)
    assert sorted(set(told)) == pytest.approx([step / 6 for step in range(7)])


@pytest.mark.parametrize("weights", [(0.7, 0.4), (1.2, -0.2)])
def test_weights_that_are_no_shares_are_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="ensemble_weights must not be negative and must sum to 1"):
        ModelSettings(ensemble_weights=weights)


def test_a_probability_that_too_few_reach_is_refused_with_their_number(
    events: Events, settings: TrendbotSettings, model: MetaModel
) -> None:
    def trained(probability: float) -> MetaModel:
        entry = EntrySettings(threshold_mode="probability", threshold=probability)
        return train(events, settings.model_copy(update={"entry": entry}), progress=silent)

    # Its fiftieth from above is reached by fifty, the one above it by too few.
    enough, too_much = model.out_of_fold[-50], (model.out_of_fold[-50] + model.out_of_fold[-49]) / 2
    assert trained(enough).out_of_fold == model.out_of_fold
    with pytest.raises(TrainingError) as raised:
        trained(too_much)
    assert f"is reached by 49 of {len(model.out_of_fold)} hold-out trades, at least 50 are needed" in str(raised.value)
    assert raised.value.exit_code == 4


def test_weights_that_are_found_have_the_least_log_loss_out_of_fold() -> None:
    judged = made_of(np.arange(4), np.arange(4) + 1, np.array([1, 0, 1, 0]))
    right, wrong = np.array([0.9, 0.1, 0.8, 0.2]), np.array([0.4, 0.6, 0.3, 0.7])
    assert best_weights(right, wrong, judged) == (1.0, 0.0)
    assert best_weights(wrong, right, judged) == (0.0, 1.0)
    # Each is sure, and wrong once: the loss of the blend is least where neither is believed more than the other.
    one, other = np.array([0.9, 0.1, 0.1, 0.1]), np.array([0.1, 0.1, 0.9, 0.1])
    assert best_weights(one, other, judged) == (0.5, 0.5)
    # What is unique counts for more.
    assert best_weights(one, other, replace(judged, uniqueness=np.array([1.0, 1.0, 0.2, 1.0])))[0] > 0.5


def test_weights_are_found_by_purged_out_of_fold_predictions_and_lie_in_the_bundle(
    events: Events, settings: TrendbotSettings, tmp_path: Path
) -> None:
    automatic = settings.model_copy(update={"model": ModelSettings(ensemble_weights="auto")})
    model = train(events, automatic, progress=silent)
    judged, said = [], []
    for learn, judge in folds(events, automatic.model):
        judged.append(events.select(judge))
        said.append(training._out_of_fold(events.select(learn), judged[-1].inputs, automatic.model))
    trees, linear = np.concatenate(said, axis=1)
    won = np.concatenate([part.won for part in judged])
    unique = np.concatenate([part.uniqueness for part in judged])

    def loss(first: float) -> float:
        blend = first * trees + (1 - first) * linear
        return float(np.average(-np.log(np.where(won == 1, blend, 1 - blend)), weights=unique))

    assert loss(model.weights[0]) == min(loss(step / 20) for step in range(21))
    assert sum(model.weights) == 1
    for name, content in model.files().items():
        (tmp_path / name).write_bytes(content)
    assert models.load(tmp_path, None).weights == model.weights


def test_a_label_that_shares_its_time_weighs_less(events: Events, settings: TrendbotSettings) -> None:
    assert 0 < events.uniqueness.min() < 0.5 < events.uniqueness.max() <= 1
    alike = replace(events, uniqueness=np.full(len(events), 0.3))
    unweighted, weighted = (train(each, settings, progress=silent) for each in (alike, events))
    assert weighted.linear != unweighted.linear
    assert weighted.files()["lightgbm.txt"] != unweighted.files()["lightgbm.txt"]
    # Only how they compare to each other counts.
    again = train(replace(events, uniqueness=np.ones(len(events))), settings, progress=silent)
    assert again.linear.coefficients == pytest.approx(unweighted.linear.coefficients, abs=1e-9)


def test_uniqueness_is_the_share_of_the_time_that_a_label_has_for_itself() -> None:
    # Three labels over bars 1 to 4, 3 to 6 and 9: two share bars 3 and 4.
    found = uniqueness(np.array([0, 2, 8]), np.array([4, 6, 9]), 12)
    assert found == pytest.approx([0.75, 0.75, 1.0])
    # One that begins and ends with another halves both; what begins after the end changes nothing.
    assert uniqueness(np.array([0, 0, 4]), np.array([4, 4, 8]), 12) == pytest.approx([0.5, 0.5, 1.0])


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(1, 60),
)
def test_uniqueness_counts_bar_by_bar_and_knows_nothing_of_what_comes_later(
    spans: list[tuple[int, int]], cut: int
) -> None:
    spans.sort()
    at = np.array([begin for begin, _ in spans])
    end = np.array([begin + length for begin, length in spans])
    found = uniqueness(at, end, 100)
    for i in range(len(spans)):
        shares = [1 / ((at < bar) & (bar <= end)).sum() for bar in range(at[i] + 1, end[i] + 1)]
        assert found[i] == pytest.approx(np.mean(shares))
    known = at < cut
    again = uniqueness(at[known], np.minimum(end[known], cut), cut + 1)
    assert np.array_equal(again[end[known] <= cut], found[end <= cut])


@pytest.mark.parametrize("enabled", [True, False])
def test_the_regime_allows_a_label_what_it_allows_a_signal(
    enabled: bool, candles: Candles, settings: TrendbotSettings
) -> None:
    chosen = settings.model_copy(
        update={"regime": RegimeSettings(enabled=enabled, high_volatility_multiple=1.2, high_volatility_release=1.1)}
    )
    events = label_events(candles, chosen)
    signals = Strategy(chosen).signals(candles, None, first=0)
    by_close = {int(time) + HOUR: signal for time, signal in zip(candles.time, signals, strict=True)}
    assert [by_close[int(at)].side != 0 for at in events.decided_at] == list(events.allowed)
    assert {signal.regime for signal in signals} == set(Regime)
    assert events.allowed.all() == (not enabled)
