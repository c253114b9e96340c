"""Caps over all positions, each reckoned by hand, and correlations against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_trendbot.engine import portfolio
from nightdesk_trendbot.engine.portfolio import Caps, room
from nightdesk_trendbot.settings import PortfolioSettings
from nightdesk_trendbot.signals.candles import Floats, Ints

from tests.trendbot.conftest import HOUR

CAPS = Caps(leverage=2.0, correlated_volatility=0.03, correlation=0.6, correlation_seconds=1000, smallest_share=0.25)


def left(
    side: int,
    wanted: float,
    held: tuple[float, ...],
    *,
    volatilities: tuple[float, ...] = (0.02, 0.02, 0.02),
    correlations: tuple[float, ...] = (0.0, 0.0, 0.0),
    caps: Caps = CAPS,
) -> float:
    """Return the room of the first symbol."""
    columns = (np.array(held), np.array(volatilities)[: len(held)], np.array(correlations)[: len(held)])
    return float(room(0, side, wanted, *columns, caps))


def test_the_settings_count_bars_and_the_caps_seconds() -> None:
    chosen = PortfolioSettings(correlation_bars=100, leverage_cap=3, correlated_daily_volatility=0.02)
    assert Caps.of(chosen, interval_seconds=HOUR) == Caps(3.0, 0.02, 0.6, 360_000, 0.25)


@pytest.mark.parametrize(
    ("side", "wanted", "held", "expected"),
    [
        (1, 1.5, (0.0, 0.0, 0.0), 1.5),
        (1, 1.5, (0.0, 1.2, 0.0), 0.8),
        (1, 1.5, (0.0, -1.2, 0.0), 0.8),
        (-1, 1.5, (0.0, 0.7, -0.5), 0.8),
        (1, 2.5, (0.0, 0.0, 0.0), 2.0),
        (1, 1.5, (9.0, 0.0, 0.0), 1.5),
        (1, 1.5, (0.0, 2.0, 0.0), 0.0),
        (1, 1.5, (0.0, 1.5, 1.5), 0.0),
        (1, 0.0, (0.0, 0.0, 0.0), 0.0),
    ],
    ids=[
        "all of it where nothing is held",
        "what another position leaves",
        "a short counts by its size",
        "two others count together",
        "alone no more than the cap",
        "what the symbol itself holds does not count",
        "none where the cap is reached",
        "none beyond the cap",
        "none of nothing",
    ],
)
def test_the_leverage_cap(side: int, wanted: float, held: tuple[float, ...], expected: float) -> None:
    assert left(side, wanted, held) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("side", "held", "correlations", "expected"),
    [
        (1, (0.0, 1.0), (0.0, 0.9), 0.4),  # (0.03 - 1 x 0.02) / 0.025
        (1, (0.0, -1.0), (0.0, 0.9), 1.0),
        (1, (0.0, -1.0), (0.0, -0.9), 0.4),
        (-1, (0.0, 1.0), (0.0, -0.9), 0.4),
        (1, (0.0, 1.0), (0.0, -0.9), 1.0),
        (-1, (0.0, -1.0), (0.0, 0.6), 0.4),
        (1, (0.0, 1.0), (0.0, 0.59), 1.0),
        (1, (0.0, 0.5, 0.4), (0.0, 0.7, 0.7), 0.48),  # (0.03 - 0.9 x 0.02) / 0.025
        (1, (0.0, 0.5, -0.4), (0.0, 0.7, 0.7), 0.8),  # the leverage of both counts, the movement of one
        (1, (0.0, 1.5), (0.0, 0.7), 0.0),
    ],
    ids=[
        "correlated and in one direction",
        "correlated and in opposite directions",
        "against each other in opposite directions",
        "against each other in opposite directions, short",
        "against each other in one direction",
        "from the threshold on",
        "below the threshold",
        "two together",
        "two that are in opposite directions",
        "none where they move as much as they may",
    ],
)
def test_the_cap_of_what_moves_together(
    side: int, held: tuple[float, ...], correlations: tuple[float, ...], expected: float
) -> None:
    found = left(side, 1.0, held, volatilities=(0.025, 0.02, 0.02), correlations=correlations)
    assert found == pytest.approx(min(expected, 2.0 - sum(map(abs, held))))


@pytest.mark.parametrize(("held", "expected"), [(1.59, 0.41), (1.6, 0.4), (1.61, 0.0)])
def test_an_entry_that_is_cut_below_the_smallest_share_is_blocked(held: float, expected: float) -> None:
    assert left(1, 1.6 - 1e-9, (0.0, held)) == pytest.approx(expected)


def test_where_its_own_volatility_is_unknown_an_entry_beside_a_correlated_one_is_bounded_by_leverage_alone() -> None:
    assert left(1, 1.0, (0.0, 1.0), volatilities=(0.0, 0.02), correlations=(0.0, 1.0)) == pytest.approx(1.0)


@settings(max_examples=200)
@given(
    side=st.sampled_from([-1, 1]),
    wanted=st.floats(0, 3),
    others=st.lists(st.tuples(st.floats(-2, 2), st.floats(0, 0.1), st.floats(-1, 1)), max_size=4),
    share=st.floats(0, 1),
)
def test_over_any_portfolio_an_entry_keeps_both_caps_and_is_never_larger_than_wanted(
    side: int, wanted: float, others: list[tuple[float, float, float]], share: float
) -> None:
    caps = CAPS._replace(smallest_share=share)
    held, volatilities, correlations = (
        np.array([first, *column])
        for first, column in zip((0.0, 0.03, 0.0), zip(*others, strict=True) if others else ((), (), ()), strict=True)
    )
    found = room(0, side, wanted, held, volatilities, correlations, caps)
    assert 0 <= found <= wanted
    if found == 0:
        return
    assert found >= share * wanted
    assert found + np.abs(held).sum() <= caps.leverage + 1e-12
    together = (side * held * correlations > 0) & (np.abs(correlations) >= caps.correlation)
    moved = (np.abs(held) * volatilities)[together].sum()
    assert moved == 0 or moved + found * 0.03 <= caps.correlated_volatility + 1e-12


def market(seed: int, count: int, gaps: float) -> tuple[Ints, Floats, Floats]:
    """Return hours, and two symbols' closes that go together half of the way, with hours that each lacks."""
    source = np.random.default_rng(seed)
    shared, first, second = source.normal(0, 0.01, (3, count))
    closes = [100 * np.exp(np.cumsum(shared + own)) for own in (first, second)]
    for close in closes:
        close[source.random(count) < gaps] = np.nan
    return np.arange(count, dtype=np.int64) * HOUR, closes[0], closes[1]


def by_numpy(first: Floats, second: Floats) -> float:
    """Return the correlation of the returns between common candles, by numpy."""
    common = ~np.isnan(first) & ~np.isnan(second)
    returns = [np.diff(np.log(close[common])) for close in (first, second)]
    return float(np.corrcoef(np.stack(returns))[0, 1])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), gaps=st.sampled_from([0.0, 0.1, 0.3]), last=st.integers(150, 299))
def test_a_correlation_is_numpy_s_over_the_common_candles_of_the_window(seed: int, gaps: float, last: int) -> None:
    time, first, second = market(seed, 300, gaps)
    window = slice(last - 120, last + 1)
    found = portfolio.correlation(time, first, second, last, 120 * HOUR)
    assert found == pytest.approx(by_numpy(first[window], second[window]), abs=1e-9)
    assert abs(found) < 0.99, "it took too few returns"
    other = np.where(np.isnan(second), np.nan, 1e4 / second)
    assert portfolio.correlation(time, first, other, last, 120 * HOUR) == pytest.approx(-found, abs=1e-9)


def test_the_window_is_one_of_time_and_looks_at_nothing_outside_it() -> None:
    """The two symbols went against each other before; where hours lack, the window holds fewer candles."""
    time, first, second = market(7, 200, 0.0)
    second[:100] = 1e4 / second[:100]
    kept = np.r_[0:100, 100:199:2, 199]
    of_time, of_first, of_second = time[kept], first[kept], second[kept]
    last = len(kept) - 1
    assert portfolio.correlation(of_time, of_first, of_second, last, 98 * HOUR) == pytest.approx(
        by_numpy(of_first[101:], of_second[101:]), abs=1e-9
    )
    changed = of_second.copy()
    changed[:100] *= np.linspace(1, 3, 100)
    changed[150:] = 1.0
    found = [portfolio.correlation(of_time, of_first, of, 149, 98 * HOUR) for of in (of_second, changed)]
    assert found[0] == found[1]


@pytest.mark.parametrize(("common", "known"), [(20, False), (21, True)])
def test_of_too_few_common_returns_two_symbols_count_as_one(common: int, known: bool) -> None:
    time, first, second = market(11, 200, 0.0)
    second[: 200 - common] = np.nan
    found = portfolio.correlation(time, first, second, 199, 400 * HOUR)
    assert (found != 1.0) is known


def test_a_symbol_that_does_not_move_counts_as_one_with_the_other() -> None:
    time, first, _ = market(12, 100, 0.0)
    assert portfolio.correlation(time, first, np.full(100, 50.0), 99, 400 * HOUR) == 1.0
