"""Indicators, features, labels and decisions know nothing of what comes after, and nothing of where the data began."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nightdesk_trendbot import backtest
from nightdesk_trendbot.backtest import Markets
from nightdesk_trendbot.candles import Candles, Floats
from nightdesk_trendbot.engine import Engine, StepResult
from nightdesk_trendbot.indicators import WINDOW, IndicatorBars, compute
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.regime import Regime, classify
from nightdesk_trendbot.settings import BarrierSettings, PortfolioSettings, TrendbotSettings
from nightdesk_trendbot.strategy import Deployment, Strategy, bars_needed
from nightdesk_trendbot.training import Events, label_events

from tests.trendbot.conftest import COUNT, HOUR, KNOWN, make_candles

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


def rows_of(events: Events) -> list[tuple[bytes, int, int, int, bool]]:
    """Return events as rows that can be compared."""
    columns = (events.won, events.decided_at, events.label_end, events.allowed)
    return [
        (inputs.tobytes(), int(won), int(decided), int(ended), bool(allowed))
        for inputs, won, decided, ended, allowed in zip(events.inputs, *columns, strict=True)
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
    # Before, the regime does not know its whole memory yet.
    first_known = int(stretch.time[start + bars_needed(settings) - 1]) + stretch.interval_seconds
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
    return replace(candles, **prices, volume=volume, funding=np.where(later, 0.01, candles.funding))


@pytest.fixture(scope="module")
def together(settings: TrendbotSettings) -> TrendbotSettings:
    """Two symbols whose positions count together, with everything scaled by volatility; it enters often."""
    return settings.model_copy(
        update={
            "symbols": ("BTC/USDT:USDT", "EUR/USDT:USDT"),
            "entry": settings.entry.model_copy(update={"threshold": 0.05}),
            "barriers": BarrierSettings(mode="volatility"),
            "portfolio": PortfolioSettings(correlation_threshold=0.0, correlated_daily_volatility=0.011),
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


@pytest.mark.parametrize("end", [600, 1500])
def test_the_regime_with_its_memory_is_the_same_wherever_the_data_ends_and_begins(
    end: int, stretch: Candles, lengths: IndicatorBars, settings: TrendbotSettings
) -> None:
    def regimes(candles: Candles) -> list[Regime]:
        return classify(compute(candles, lengths), candles.close, settings.regime)

    whole = regimes(stretch)
    assert regimes(stretch.slice(0, end)) == whole[:end]
    assert regimes(changed_from(stretch, int(stretch.time[end])))[:end] == whole[:end]
    needed = bars_needed(settings)
    assert regimes(stretch.slice(100, end))[needed - 1 :] == whole[100 + needed - 1 : end]
    assert len(set(whole)) == len(Regime)


@pytest.mark.parametrize("end", ENDS[1:])
def test_labels_with_funding_and_all_that_scales_know_nothing_of_what_comes_after_their_end(
    end: int, stretch: Candles, together: TrendbotSettings
) -> None:
    funded = stretch.with_funding({int(time): 0.004 for time in stretch.time if time % (8 * HOUR) == 0})
    last_close = int(funded.time[end - 1]) + HOUR
    whole = label_events(funded, together)
    known = rows_of(whole.select(whole.label_end <= last_close))
    part, other = label_events(funded.slice(0, end), together), label_events(changed_from(funded, last_close), together)
    assert rows_of(part) == known
    assert rows_of(other.select(other.label_end <= last_close)) == known
    # Funding so dear, and barriers that scale, matter.
    fixed = together.model_copy(update={"barriers": BarrierSettings()})
    for differing in (label_events(stretch.slice(0, end), together), label_events(funded.slice(0, end), fixed)):
        assert list(differing.won) != list(part.won)
