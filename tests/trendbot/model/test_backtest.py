"""The gate's backtest: flat at both ends, guard off, and days that end at midnight UTC."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nightdesk_guard import PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.engine.rules import Rules, costs_at
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles

from tests.trendbot.conftest import COUNT, DAY, FIRST_HOUR, HOUR, KNOWN

SYMBOL = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def eager(settings: TrendbotSettings) -> TrendbotSettings:
    """A bot that enters on almost every signal."""
    return settings.model_copy(update={"entry": settings.entry.model_copy(update={"threshold": 0.05})})


def test_profits_add_up_to_the_equity_s_change_and_returns_compound_to_it(
    candles: Candles, eager: TrendbotSettings, model: MetaModel
) -> None:
    start, end = float(candles.time[KNOWN]), float(candles.time[-1] + HOUR)
    done = backtest.run(
        {SYMBOL: candles},
        eager,
        start=start,
        end=end,
        deployments=[(0, Deployment(model))],
        guard=None,
        flat_at_end=True,
    )
    judged = backtest.evaluate({SYMBOL: candles}, eager, Deployment(model), start=start, end=end)
    assert len(done.trades) > 30
    assert done.equity[-1] == pytest.approx(10_000 + sum(trade.profit for trade in done.trades), abs=0.005)
    assert judged.trades == done.trades
    assert np.prod(1 + np.array(judged.daily_returns)) == pytest.approx(done.equity[-1] / 10_000)
    assert done.state.books[SYMBOL].account.side == 0
    assert {trade.model_version for trade in done.trades} == {""}
    assert (judged.start, judged.end) == (candles.time[KNOWN], candles.time[-1] + HOUR)
    gaps = np.diff(judged.days)
    assert set(gaps[:-1]) == {DAY}


def test_the_gate_s_backtest_trades_at_full_size_whatever_the_standing(
    candles: Candles, eager: TrendbotSettings, model: MetaModel
) -> None:
    full, share = Deployment(model), Deployment(model, 0.25)
    start, end = float(candles.time[KNOWN]), float(candles.time[-1] + HOUR)
    judged = [backtest.evaluate({SYMBOL: candles}, eager, used, start=start, end=end) for used in (full, share)]
    assert judged[0] == judged[1]


def test_a_trade_still_open_at_the_end_is_closed_at_the_last_close(
    candles: Candles, eager: TrendbotSettings, model: MetaModel
) -> None:
    def trades(stop: int, *, flat_at_end: bool) -> backtest.Run:
        return backtest.run(
            {SYMBOL: candles},
            eager,
            start=float(candles.time[KNOWN]),
            end=float(candles.time[stop]),
            deployments=[(0, Deployment(model))],
            guard=None,
            flat_at_end=flat_at_end,
        )

    def holds(stop: int) -> bool:
        return trades(stop, flat_at_end=False).state.books[SYMBOL].account.side != 0

    stop = next(stop for stop in range(KNOWN + 100, COUNT) if holds(stop))
    opened, ended = trades(stop, flat_at_end=False), trades(stop, flat_at_end=True)
    assert len(ended.trades) == len(opened.trades) + 1
    last = ended.trades[-1]
    assert (last.exit_reason, last.exit_time) == ("time", candles.time[stop - 1] + HOUR)
    side = 1 if last.side == "long" else -1
    slippage = costs_at(Rules.of(eager), ended.state.books[SYMBOL].volatility).slippage_ratio
    assert last.exit_price == pytest.approx(candles.close[stop - 1] * (1 - side * slippage))


def test_a_model_decides_the_candles_that_close_from_its_time_on(
    candles: Candles, eager: TrendbotSettings, model: MetaModel
) -> None:
    swap = int(candles.time[KNOWN + 700])
    first, second = replace(model, version="v1"), replace(model, version="v2")
    done = backtest.run(
        {SYMBOL: candles},
        eager,
        start=float(candles.time[KNOWN]),
        end=float(candles.time[-1] + HOUR),
        deployments=[(0, Deployment(first)), (swap, Deployment(second))],
        guard=None,
        flat_at_end=True,
    )
    for trade in done.trades:
        # The decision fell at the close before the entry's open.
        assert trade.model_version == ("v2" if trade.entry_time >= swap else "v1")
    assert {trade.model_version for trade in done.trades} == {"v1", "v2"}


def test_with_its_guard_the_backtest_throttles_as_the_live_bot_does(
    candles: Candles, eager: TrendbotSettings, model: MetaModel
) -> None:
    nervous = GuardSettings.model_validate(
        {
            "cool_down_days": 2,
            "reduced": {"win_rate_standard_errors": 1, "losing_streak": 2, "drawdown_ratio": 0.01},
            "paused": {"win_rate_standard_errors": 2, "losing_streak": 3, "drawdown_ratio": 0.02},
        }
    )
    guard = PerformanceGuard(nervous, break_even_win_rate=0.38)
    done = backtest.run(
        {SYMBOL: candles},
        eager,
        start=float(candles.time[KNOWN]),
        end=float(candles.time[-1] + HOUR),
        deployments=[(0, Deployment(model))],
        guard=guard,
        flat_at_end=False,
    )
    moves = [transition.after for transition in done.transitions]
    assert {"reduced", "paused", "normal"} <= set(moves)
    for trade in done.trades:
        before = [moved for moved in done.transitions if moved.time.seconds <= trade.entry_time]
        assert not before or before[-1].after != "paused"


def test_days_end_at_midnight_utc_and_a_day_without_its_last_candle_ends_with_its_last() -> None:
    close_time = FIRST_HOUR + HOUR * np.array([23, 24, 25, 47, 49, 50])
    equity = np.array([101.0, 102.0, 103.0, 104.0, 105.0, 99.0])
    days, returns = backtest.daily_returns(close_time, equity, start=100.0)
    assert list(days) == [FIRST_HOUR + hour * HOUR for hour in (24, 47, 50)]
    np.testing.assert_allclose(returns, [0.02, 104 / 102 - 1, 99 / 104 - 1])
