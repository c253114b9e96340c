"""The compiled backtest against the engine's loop, to the last bit, over random portfolios; and its money adds up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import (
    BarrierSettings,
    CostSettings,
    EntrySettings,
    PortfolioSettings,
    RegimeSettings,
    SizingSettings,
    TrendbotSettings,
)
from nightdesk_trendbot.signals.candles import Candles, Floats

from tests.trendbot.conftest import FIRST_HOUR, HOUR, make_candles

SYMBOLS = ("BTC/USDT:USDT", "EUR/USDT:USDT", "ETH/USDT:USDT")
HOURS = 1100
BEGIN = 640
"""The hour at which trading begins: the earlier ones are only looked back on."""


@dataclass(frozen=True)
class FakeModel:
    """A model whose probability is a rough function of its inputs, between 0.3 and 0.7."""

    version: str = "fake"
    out_of_fold: tuple[float, ...] = tuple(float(value) for value in np.linspace(0.3, 0.7, 101))

    def predict(self, inputs: Floats) -> Floats:
        return np.asarray(0.5 + 0.2 * np.sin(1000 * inputs[:, :8].sum(axis=1)))

    def threshold(self, quantile: float) -> float:
        return 0.3 + 0.4 * quantile

    def rank(self, probability: float) -> float:
        return (probability - 0.3) / 0.4


def fake() -> Deployment:
    """Return the fake model in use."""
    model: Any = FakeModel()
    return Deployment(model)


def portfolio(seed: int, *, symbols: int, gaps: float, funding: float) -> Markets:
    """Return candles of some symbols that begin, pause and end at different hours; the second one rests at weekends."""
    source = np.random.default_rng(seed)
    markets = {}
    shared = make_candles(HOURS, seed=seed)
    for number, symbol in enumerate(SYMBOLS[:symbols]):
        candles = make_candles(HOURS, seed=seed + 1 + number)
        if source.random() < 0.5:
            # Half of the symbols go up and down with the others.
            columns = {name: getattr(shared, name) for name in ("open", "high", "low", "close")}
            candles = replace(candles, **columns)
        first, stop = int(source.integers(0, 70)) * number, HOURS - int(source.integers(0, 100)) * number
        kept = (np.arange(HOURS) >= first) & (np.arange(HOURS) < stop) & (source.random(HOURS) >= gaps)
        if number == 1:
            kept &= np.arange(HOURS) % 168 < 120
        columns = {name: getattr(candles, name)[kept] for name in ("time", "open", "high", "low", "close", "volume")}
        rates = {int(time): funding for time in columns["time"] if time % (8 * HOUR) == 0}
        markets[symbol] = Candles(**columns, interval_seconds=HOUR).with_funding(rates)
    return markets


def made(
    *,
    threshold_mode: Literal["quantile", "probability", "break_even"] = "quantile",
    barriers: Literal["fixed", "volatility"] = "volatility",
    slippage_scaled: bool = True,
    regime: bool = False,
    caps: PortfolioSettings | None = None,
) -> TrendbotSettings:
    """Return settings of a bot that enters often, and holds for some hours."""
    return TrendbotSettings(
        entry=EntrySettings(breakout_bars=6, threshold=0.45, threshold_mode=threshold_mode, break_even_margin=0.001),
        barriers=BarrierSettings(mode=barriers, target_ratio=0.03, stop_ratio=0.03, holding_hours=10),
        costs=CostSettings(slippage_scaled=slippage_scaled),
        regime=RegimeSettings(enabled=regime),
        sizing=SizingSettings(daily_volatility=0.02, leverage_cap=2.0),
        portfolio=caps or PortfolioSettings(),
    )


def both(markets: Markets, chosen: TrendbotSettings) -> tuple[backtest.Run, Any]:
    """Return what the loop and what the compiled backtest make of the same candles."""
    start, end = float(FIRST_HOUR + BEGIN * HOUR), float(FIRST_HOUR + HOURS * HOUR)
    loop = backtest.run(markets, chosen, start=start, end=end, deployments=[(0, fake())], guard=None, flat_at_end=True)
    return loop, backtest.evaluate(markets, chosen, fake(), start=start, end=end)


def assert_same(loop: backtest.Run, compiled: Any, chosen: TrendbotSettings) -> None:
    assert compiled.trades == loop.trades
    days, returns = backtest.daily_returns(
        np.array(loop.close_time), np.array(loop.equity), start=chosen.initial_equity
    )
    assert compiled.days == tuple(int(day) for day in days)
    assert compiled.daily_returns == tuple(float(value) for value in returns)
    assert (compiled.start, compiled.end) == (loop.close_time[0] - HOUR, loop.close_time[-1])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    symbols=st.integers(1, 3),
    gaps=st.sampled_from([0.0, 0.02, 0.2]),
    funding=st.floats(-0.001, 0.001),
    threshold_mode=st.sampled_from(["quantile", "probability", "break_even"]),
    barriers=st.sampled_from(["fixed", "volatility"]),
    slippage_scaled=st.booleans(),
    regime=st.booleans(),
    caps=st.builds(
        PortfolioSettings,
        leverage_cap=st.floats(0.2, 5.0),
        correlated_daily_volatility=st.floats(0.005, 0.08),
        correlation_threshold=st.sampled_from([0.0, 0.1, 0.6]),
        correlation_bars=st.sampled_from([24, 100, 400]),
        smallest_share=st.floats(0, 1),
    ),
)
@example(
    # Correlations matter within the first hours: they look back on candles from before the backtest begins.
    seed=0,
    symbols=3,
    gaps=0.0,
    funding=0.0,
    threshold_mode="quantile",
    barriers="fixed",
    slippage_scaled=False,
    regime=False,
    caps=PortfolioSettings(
        leverage_cap=1.0,
        correlated_daily_volatility=0.03125,
        correlation_threshold=0.0,
        correlation_bars=24,
        smallest_share=0.0,
    ),
)
def test_over_any_portfolio_the_compiled_backtest_is_the_loop_s_to_the_last_bit_and_money_adds_up(
    seed: int,
    symbols: int,
    gaps: float,
    funding: float,
    threshold_mode: Literal["quantile", "probability", "break_even"],
    barriers: Literal["fixed", "volatility"],
    slippage_scaled: bool,
    regime: bool,
    caps: PortfolioSettings,
) -> None:
    markets = portfolio(seed, symbols=symbols, gaps=gaps, funding=funding)
    chosen = made(
        threshold_mode=threshold_mode, barriers=barriers, slippage_scaled=slippage_scaled, regime=regime, caps=caps
    )
    loop, compiled = both(markets, chosen)
    assert_same(loop, compiled, chosen)
    assert loop.equity[-1] == pytest.approx(10_000 + sum(trade.profit for trade in loop.trades), abs=0.005)
    assert np.prod(1 + np.array(compiled.daily_returns)) == pytest.approx(loop.equity[-1] / 10_000)
    for symbol, book in loop.state.books.items():
        assert book.account.side == 0
        profits = [trade.profit for trade in loop.trades if trade.symbol == symbol]
        assert book.account.realised == pytest.approx(sum(profits), abs=0.005)


def test_the_portfolios_trade_often_and_their_caps_matter() -> None:
    """The property above holds of something: three symbols trade, and a tight cap leaves out or cuts some trades."""
    markets = portfolio(3, symbols=3, gaps=0.02, funding=0.0003)
    loose, _ = both(markets, made(caps=PortfolioSettings(leverage_cap=50, correlated_daily_volatility=0.9)))
    tight, _ = both(markets, made(caps=PortfolioSettings(leverage_cap=0.9, correlated_daily_volatility=0.021)))
    assert {trade.symbol for trade in loose.trades} == set(SYMBOLS)
    assert len(loose.trades) > 60
    assert any(trade.funding != 0 for trade in loose.trades)
    assert sum(trade.quantity * trade.entry_price for trade in tight.trades) < 0.8 * sum(
        trade.quantity * trade.entry_price for trade in loose.trades
    )
