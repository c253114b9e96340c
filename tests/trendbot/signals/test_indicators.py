"""Indicators against TA-Lib and against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
import talib
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles, Floats
from nightdesk_trendbot.signals.indicators import COLUMN, COLUMNS, WINDOW, IndicatorBars, compute

COUNT = 900


@pytest.fixture(scope="module")
def known(candles: Candles) -> Candles:
    return candles.slice(0, COUNT)


@pytest.fixture(scope="module")
def rows(known: Candles, settings: TrendbotSettings) -> Floats:
    return compute(known, IndicatorBars.of(settings.regime, settings.entry, settings.sizing))


def column(rows: Floats, name: str) -> Floats:
    """Return one indicator where it is known."""
    return np.asarray(rows[WINDOW - 1 :, COLUMN[name]])


def test_nothing_is_known_before_the_window_is_full_and_everything_after(rows: Floats) -> None:
    assert rows.shape == (COUNT, len(COLUMNS))
    assert np.isnan(rows[: WINDOW - 1]).all()
    assert np.isfinite(rows[WINDOW - 1 :]).all()


def test_the_ema_is_ta_lib_s(rows: Floats, known: Candles) -> None:
    expected = talib.EMA(known.close, 50)[WINDOW - 1 :]
    np.testing.assert_allclose(column(rows, "ema"), expected, rtol=1e-6)


def test_the_atr_is_ta_lib_s(rows: Floats, known: Candles) -> None:
    expected = talib.ATR(known.high, known.low, known.close, 14)
    np.testing.assert_allclose(column(rows, "atr"), expected[WINDOW - 1 :], rtol=1e-6)
    average = np.convolve(expected[14:], np.ones(100) / 100, mode="valid")
    np.testing.assert_allclose(column(rows, "atr_average"), average[-(COUNT - WINDOW + 1) :], rtol=1e-6)


def test_the_adx_is_ta_lib_s(rows: Floats, known: Candles) -> None:
    expected = talib.ADX(known.high, known.low, known.close, 14)[WINDOW - 1 :]
    np.testing.assert_allclose(column(rows, "adx"), expected, rtol=1e-6)


def test_the_directional_difference_is_ta_lib_s(rows: Floats, known: Candles) -> None:
    plus = talib.PLUS_DI(known.high, known.low, known.close, 14)
    minus = talib.MINUS_DI(known.high, known.low, known.close, 14)
    expected = ((plus - minus) / (plus + minus))[WINDOW - 1 :]
    np.testing.assert_allclose(column(rows, "directional_difference"), expected, rtol=1e-6, atol=1e-9)


def test_the_prior_high_and_low_leave_the_bar_itself_out(rows: Floats, known: Candles) -> None:
    for at in (WINDOW - 1, 600, COUNT - 1):
        assert rows[at, COLUMN["prior_high"]] == known.high[at - 24 : at].max()
        assert rows[at, COLUMN["prior_low"]] == known.low[at - 24 : at].min()


def test_volatility_is_the_deviation_of_the_last_log_returns(rows: Floats, known: Candles) -> None:
    returns = np.diff(np.log(known.close))
    for at in (WINDOW - 1, 600, COUNT - 1):
        assert rows[at, COLUMN["volatility"]] == pytest.approx(returns[at - 72 : at].std(ddof=1), rel=1e-9)
        ratio = returns[at - 24 : at].std(ddof=1) / returns[at - 240 : at].std(ddof=1)
        assert rows[at, COLUMN["volatility_ratio"]] == pytest.approx(ratio, rel=1e-9)


def test_returns_are_in_units_of_volatility_over_their_own_time(rows: Floats, known: Candles) -> None:
    at, volatility = 700, rows[700, COLUMN["volatility"]]
    for bars in (1, 6, 24, 72):
        change = np.log(known.close[at] / known.close[at - bars])
        assert rows[at, COLUMN[f"return_{bars}"]] == pytest.approx(change / (volatility * np.sqrt(bars)), rel=1e-9)


def test_volume_and_range_are_measured_against_the_bars_before(rows: Floats, known: Candles) -> None:
    at = 700
    expected = np.log(known.volume[at] / known.volume[at - 24 : at].mean())
    assert rows[at, COLUMN["volume_ratio"]] == pytest.approx(expected, rel=1e-6)
    high, low = known.high[at - 24 : at].max(), known.low[at - 24 : at].min()
    assert rows[at, COLUMN["range_position"]] == pytest.approx((known.close[at] - low) / (high - low), rel=1e-9)


def test_a_market_that_does_not_move_at_all_has_finite_indicators(settings: TrendbotSettings) -> None:
    count = WINDOW + 5
    still = np.full(count, 100.0)
    time = np.arange(count, dtype=np.int64) * 3600
    candles = Candles(time, still, still, still, still, np.zeros(count), 3600)
    rows = compute(candles, IndicatorBars.of(settings.regime, settings.entry, settings.sizing))
    assert np.isfinite(rows[WINDOW - 1 :]).all()
