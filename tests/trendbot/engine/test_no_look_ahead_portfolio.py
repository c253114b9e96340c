"""No decision, trade or equity of a portfolio knows what comes after, of whichever of its symbols."""

from __future__ import annotations

import pytest
from nightdesk_trendbot.engine.engine import Engine, StepResult
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Markets
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import BarrierSettings, PortfolioSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles
from nightdesk_trendbot.signals.signal import Outcome

from tests.trendbot.conftest import COUNT, HOUR, KNOWN, make_candles
from tests.trendbot.signals.test_no_look_ahead import changed_from


@pytest.fixture(scope="module")
def together(settings: TrendbotSettings) -> TrendbotSettings:
    """Two symbols whose positions count together, with everything scaled by volatility; it enters often."""
    return settings.model_copy(
        update={
            "symbols": ("BTC/USDT:USDT", "EUR/USDT:USDT"),
            "entry": settings.entry.model_copy(update={"threshold": 0.05}),
            "barriers": BarrierSettings(mode="volatility"),
            "portfolio": PortfolioSettings(
                correlation_threshold=0.1, correlation_bars=24, correlated_daily_volatility=0.011
            ),
        }
    )


@pytest.fixture(scope="module")
def markets(candles: Candles, together: TrendbotSettings) -> Markets:
    """The second market pauses at weekends; funding is paid in both."""
    paused = tuple(hour for hour in range(COUNT) if hour % 168 >= 120)
    both = (candles, make_candles(COUNT, seed=5, missing=paused))
    rates = {int(time): 0.0005 for time in candles.time if time % (8 * HOUR) == 0}
    return {symbol: of.with_funding(rates) for symbol, of in zip(together.symbols, both, strict=True)}


class Watched:
    """Runs the engine and writes down what it decides at each step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, model: MetaModel, chosen: TrendbotSettings) -> None:
        self.patch, self.model, self.chosen = monkeypatch, model, chosen

    def __call__(self, markets: Markets) -> tuple[backtest.Run, list[StepResult]]:
        results: list[StepResult] = []
        unwatched = Engine.at_close

        def at_close(engine: Engine, *args: object, **more: object) -> StepResult:
            results.append(unwatched(engine, *args, **more))  # type: ignore[arg-type]
            return results[-1]

        with self.patch.context() as patched:
            patched.setattr(Engine, "at_close", at_close)
            time = next(iter(markets.values())).time
            done = backtest.run(
                markets,
                self.chosen,
                start=float(time[KNOWN]),
                end=float(time[-1]) + HOUR,
                deployments=[(0, Deployment(self.model))],
                guard=None,
                flat_at_end=False,
            )
        return done, results


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, model: MetaModel, together: TrendbotSettings) -> Watched:
    return Watched(monkeypatch, model, together)


@pytest.mark.parametrize("stop", [KNOWN + 400, KNOWN + 801])
def test_a_portfolio_s_trades_equity_and_decisions_are_the_same_on_data_that_ends_early(
    stop: int, watched: Watched, markets: Markets, candles: Candles
) -> None:
    end = int(candles.time[stop])
    whole, results = watched(markets)
    part, part_results = watched({symbol: of.before(end) for symbol, of in markets.items()})
    assert {trade.symbol for trade in part.trades} == set(markets)
    assert part_results == results[: len(part_results)]
    assert part.equity == whole.equity[: len(part.equity)]
    assert part.trades == tuple(trade for trade in whole.trades if trade.exit_time <= end)


def test_another_symbol_s_future_changes_nothing_before_it_and_something_after(
    watched: Watched, markets: Markets, candles: Candles
) -> None:
    first, second = markets
    from_then = int(candles.time[KNOWN + 600])
    whole, results = watched(markets)
    other, other_results = watched({first: markets[first], second: changed_from(markets[second], from_then)})
    # The step that closes at that time is the last that knows nothing of it.
    known = 600
    assert other_results[:known] == results[:known]
    assert other.equity[:known] == whole.equity[:known]
    held = [[trade for trade in done.trades if trade.exit_time <= from_then] for done in (whole, other)]
    assert held[0] == held[1]
    assert len(held[0]) > 10
    # One equity: what the second earns sizes the first.
    later = [[trade for trade in done.trades if trade.symbol == first] for done in (whole, other)]
    assert later[0] != later[1]


def test_no_decision_beside_a_position_knows_the_next_candle_of_any_symbol(
    watched: Watched, markets: Markets, candles: Candles
) -> None:
    """What is left for an entry depends on correlations: they end with the candle that is decided on."""
    end = int(candles.time[KNOWN + 1000])
    _, results = watched({symbol: of.before(end) for symbol, of in markets.items()})
    beside = [
        step
        for step, result in enumerate(results)
        for symbol, (_, decision) in result.decisions.items()
        if decision.outcome in (Outcome.ENTERED, Outcome.BLOCKED_EXPOSURE)
        and any(book.account.side != 0 for other, book in result.state.books.items() if other != symbol)
    ]
    assert len(beside) >= 10
    for step in beside[:10]:
        close_time = results[step].state.last_close.whole_seconds
        known = {symbol: changed_from(of, close_time).before(close_time + HOUR) for symbol, of in markets.items()}
        assert watched(known)[1][: step + 1] == results[: step + 1]
