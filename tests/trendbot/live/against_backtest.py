"""A live bot's journal held against the engine over the same candles, which is told no more than each test says."""

from __future__ import annotations

from typing import Any

from nightdesk_trendbot.live.parts import LiveParts
from nightdesk_trendbot.model import backtest
from nightdesk_trendbot.model.backtest import Markets, Run
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.signals.signal import Outcome

from tests.trendbot.conftest import FIRST, HOUR
from tests.trendbot.replay import FUNDING


def blocked_in(parts: LiveParts) -> dict[int, Outcome]:
    """Return at which closes a bot could enter nothing, and why."""
    return {record.time.whole_seconds: Outcome(record.late) for record in parts.decisions.read() if record.late}


def backtest_of(parts: LiveParts, markets: Markets, model: MetaModel, *, stop: int, **told: Any) -> Run:
    """Trade what a bot was to trade, with the funding of its replay; `told` is what else `backtest.run` takes."""
    time = next(iter(markets.values())).time
    settled = {int(moment): FUNDING for moment in time if moment % (8 * HOUR) == 0}
    return backtest.run(
        {symbol: candles.with_funding(settled) for symbol, candles in markets.items()},
        parts.tuning.trendbot,
        start=float(time[FIRST]),
        end=stop,
        deployments=[(0, Deployment(model))],
        guard=parts.tuning.performance,
        flat_at_end=False,
        **told,
    )


def assert_same_as_backtest(parts: LiveParts, markets: Markets, model: MetaModel, *, stop: int, **told: Any) -> Run:
    """Hold the journal against that backtest, to the last bit."""
    expected = backtest_of(parts, markets, model, stop=stop, **told)
    assert parts.journal.trades() == list(expected.trades)
    equity = [(time.seconds, value) for time, value in parts.journal.equity()]
    assert equity == list(zip(expected.close_time, expected.equity, strict=True))
    assert parts.journal.transitions() == list(expected.transitions)
    assert any(trade.funding != 0 for trade in expected.trades)
    return expected
