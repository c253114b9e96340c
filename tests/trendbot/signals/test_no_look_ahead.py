"""Indicators, features, labels and decisions know nothing of what comes after, and nothing of where the data began."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.labels import Events, label_events
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment, Strategy, bars_needed
from nightdesk_trendbot.settings import BarrierSettings, CostSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles, Floats
from nightdesk_trendbot.signals.indicators import WINDOW, IndicatorBars, compute
from nightdesk_trendbot.signals.regime import Regime, classify

from tests.trendbot.conftest import HOUR, KNOWN

ENDS = (WINDOW, 777, 1500, 1501)
BEGINNINGS = (1, 24, 801)


@pytest.fixture(scope="module")
def stretch(candles: Candles) -> Candles:
    return candles.slice(0, 1800)


@pytest.fixture(scope="module")
def lengths(settings: TrendbotSettings) -> IndicatorBars:
    return IndicatorBars.of(settings.regime, settings.entry, settings.sizing)


def same_bits(first: Floats, second: Floats) -> bool:
    return first.tobytes() == second.tobytes()


@pytest.mark.parametrize("end", ENDS)
def test_indicators_are_the_same_on_data_that_ends_early(end: int, stretch: Candles, lengths: IndicatorBars) -> None:
    whole, part = compute(stretch, lengths), compute(stretch.slice(0, end), lengths)
    assert same_bits(part, whole[:end])


@pytest.mark.parametrize("start", BEGINNINGS)
def test_indicators_are_the_same_on_data_that_begins_later(
    start: int, stretch: Candles, lengths: IndicatorBars
) -> None:
    whole, part = compute(stretch, lengths), compute(stretch.slice(start, len(stretch)), lengths)
    assert same_bits(part[WINDOW - 1 :], whole[start + WINDOW - 1 :])


def test_changing_the_future_changes_no_indicator(stretch: Candles, lengths: IndicatorBars) -> None:
    factor = np.where(np.arange(len(stretch)) < 1000, 1.0, 1.5)
    names = ("open", "high", "low", "close", "volume")
    other = replace(stretch, **{name: getattr(stretch, name) * factor for name in names})
    before, after = compute(stretch, lengths), compute(other, lengths)
    assert same_bits(before[:1000], after[:1000])
    assert not same_bits(before[1000:], after[1000:])


def rows_of(events: Events) -> list[tuple[bytes, int, int, int, bool, float]]:
    """Return events as rows that can be compared."""
    columns = (events.won, events.decided_at, events.label_end, events.allowed, events.uniqueness)
    return [
        (inputs.tobytes(), int(won), int(decided), int(ended), bool(allowed), round(float(unique), 12))
        for inputs, won, decided, ended, allowed, unique in zip(events.inputs, *columns, strict=True)
    ]


@pytest.mark.parametrize("end", ENDS)
def test_labels_are_those_of_the_whole_whose_trades_had_ended(
    end: int, stretch: Candles, settings: TrendbotSettings
) -> None:
    last_close = int(stretch.time[end - 1]) + stretch.interval_seconds
    whole, part = label_events(stretch, settings), label_events(stretch.slice(0, end), settings)
    assert rows_of(part) == rows_of(whole.select(whole.label_end <= last_close))


@pytest.mark.parametrize("start", BEGINNINGS)
def test_labels_are_the_same_on_data_that_begins_later(
    start: int, stretch: Candles, settings: TrendbotSettings
) -> None:
    # Before, the regime does not know its whole memory yet; and labels may share their time with such as are not there.
    first_known = int(stretch.time[start + bars_needed(settings) - 1]) + stretch.interval_seconds
    first_known += int(settings.barriers.holding_hours * 3600)
    whole, part = label_events(stretch, settings), label_events(stretch.slice(start, len(stretch)), settings)
    expected = rows_of(whole.select(whole.decided_at >= first_known))
    assert len(expected) > 50
    assert rows_of(part.select(part.decided_at >= first_known)) == expected


@pytest.mark.parametrize("start", BEGINNINGS)
def test_signals_are_the_same_wherever_the_data_begins_and_ends(
    start: int, stretch: Candles, settings: TrendbotSettings, model: MetaModel
) -> None:
    strategy = Strategy(settings)
    needed = bars_needed(settings)
    first, stop = start + needed - 1, 1700
    whole = strategy.signals(stretch, model, first=first)[: stop - first]
    part = strategy.signals(stretch.slice(start, stop), model, first=needed - 1)
    assert part == whole
    assert any(signal.probability is not None for signal in whole)


def test_a_live_bot_that_asks_bar_by_bar_gets_the_backtest_s_signals(
    stretch: Candles, settings: TrendbotSettings, model: MetaModel
) -> None:
    strategy = Strategy(settings)
    whole = strategy.signals(stretch, model, first=1000)
    asked = [at for at, signal in enumerate(whole) if signal.probability is not None][:20]
    for at in [*asked, 0, 100]:
        seen = stretch.slice(1000 + at + 1 - bars_needed(settings), 1000 + at + 1)
        assert strategy.signals(seen, model, first=len(seen) - 1) == [whole[at]]
    assert len(asked) >= 10


def test_trades_are_the_same_on_data_that_ends_early(
    candles: Candles, settings: TrendbotSettings, model: MetaModel
) -> None:
    def trade_until(stop: int) -> backtest.Run:
        return backtest.run(
            {"BTC/USDT:USDT": candles.slice(0, stop)},
            settings,
            start=float(candles.time[KNOWN]),
            end=float(candles.time[-1]) + HOUR,
            deployments=[(0, Deployment(model))],
            guard=None,
            flat_at_end=False,
        )

    whole = trade_until(len(candles))
    assert len(whole.trades) > 10
    for stop in (KNOWN + 400, KNOWN + 801):
        part = trade_until(stop)
        assert whole.equity[: len(part.equity)] == part.equity
        assert whole.trades[: len(part.trades)] == part.trades


def test_the_same_data_has_the_same_fingerprint_and_other_data_another(stretch: Candles) -> None:
    again = replace(stretch, volume=stretch.volume.copy())
    assert stretch.fingerprint() == again.fingerprint()
    again.volume[5] = np.nextafter(again.volume[5], 0)
    assert stretch.fingerprint() != again.fingerprint()
    assert stretch.slice(0, 10).fingerprint() != stretch.slice(1, 11).fingerprint()


def changed_from(candles: Candles, time: int) -> Candles:
    """Return the candles with other prices, volumes and funding from a time on."""
    later = candles.time >= time
    names = ("open", "high", "low", "close")
    prices = {name: getattr(candles, name) * np.where(later, 1.3, 1.0) for name in names}
    volume = np.where(later, candles.volume * 2, candles.volume)
    return replace(candles, **prices, volume=volume, funding=np.where(later, 0.05, candles.funding))


@pytest.mark.parametrize("end", [600, 1500])
def test_the_regime_with_its_memory_is_the_same_wherever_the_data_ends_and_begins(
    end: int, stretch: Candles, lengths: IndicatorBars, settings: TrendbotSettings
) -> None:
    # One that hardly ever ends by itself: what it was before its memory would show.
    lasting = {"adx_release": 8.0, "ema_band": 2.0, "high_volatility_release": 0.8, "memory_bars": 12}
    chosen = settings.model_copy(update={"regime": settings.regime.model_copy(update=lasting)})

    def regimes(candles: Candles) -> list[Regime]:
        return classify(compute(candles, lengths), candles.close, chosen.regime)

    whole = regimes(stretch)
    assert regimes(stretch.slice(0, end)) == whole[:end]
    assert regimes(changed_from(stretch, int(stretch.time[end])))[:end] == whole[:end]
    needed = bars_needed(chosen)
    assert regimes(stretch.slice(100, end))[needed - 1 :] == whole[100 + needed - 1 : end]
    assert len(set(whole)) == len(Regime)


@pytest.mark.parametrize("end", [777, 900, 1060, 1200, 1350, 1500, 1650])
def test_labels_with_funding_and_all_that_scales_know_nothing_of_what_comes_after_their_end(
    end: int, stretch: Candles, settings: TrendbotSettings
) -> None:
    scaled = settings.model_copy(
        update={"barriers": BarrierSettings(mode="volatility"), "costs": CostSettings(slippage_ratio=0.004)}
    )
    funded = stretch.with_funding({int(time): 0.004 for time in stretch.time if time % (8 * HOUR) == 0})
    last_close = int(funded.time[end - 1]) + HOUR
    whole = label_events(funded, scaled)
    known = rows_of(whole.select(whole.label_end <= last_close))
    part, other = label_events(funded.slice(0, end), scaled), label_events(changed_from(funded, last_close), scaled)
    assert rows_of(part) == known
    assert rows_of(other.select(other.label_end <= last_close)) == known
    # Funding so dear, and barriers that scale, matter.
    fixed = scaled.model_copy(update={"barriers": BarrierSettings()})
    for differing in (label_events(stretch.slice(0, end), scaled), label_events(funded.slice(0, end), fixed)):
        assert list(differing.won) != list(part.won)
