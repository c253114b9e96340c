"""The same stop-and-target backtest by vectorbt: entries at the next open, stop 1%, target 2%, the same costs."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import vectorbt as vbt
from measure import report

data = np.load(sys.argv[1])
index = pd.to_datetime(data["time"], unit="s")
opened, high, low, close = (pd.Series(data[name], index=index) for name in ("open", "high", "low", "close"))
longs = pd.Series(data["sides"] == 1, index=index).shift(1, fill_value=False)
shorts = pd.Series(data["sides"] == -1, index=index).shift(1, fill_value=False)
never = pd.Series(False, index=index)


def backtest() -> int:
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries=longs,
        exits=never,
        short_entries=shorts,
        short_exits=never,
        price=opened,
        open=opened,
        high=high,
        low=low,
        sl_stop=0.01,
        tp_stop=0.02,
        fees=0.00055,
        slippage=0.00015,
        init_cash=10_000.0,
        freq="1h",
    )
    return int(portfolio.trades.count())


report(backtest, repetitions=int(sys.argv[2]))
