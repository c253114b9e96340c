"""A stop-and-target backtest of a million bars, by the engine's own compiled steps."""

from __future__ import annotations

import sys

import numpy as np
from measure import report
from nightdesk_trendbot.engine.broker import Barriers, Costs
from nightdesk_trendbot.engine.portfolio import Caps
from nightdesk_trendbot.engine.rules import Rules
from nightdesk_trendbot.engine.simulation import MarketColumns, walk

data = np.load(sys.argv[1])
names = ("open", "high", "low", "close", "sides")
opened, high, low, close, sides = (data[name][np.newaxis] for name in names)
leverages, nothing = np.ones(sides.shape), np.zeros(sides.shape)
rules = Rules(Costs(0.00055, 0.00015), Barriers(0.02, 0.01, 24 * 3600), False, False, 0.035)
caps = Caps(2.4, 0.015, 0.6, 240 * 3600, 0.25)
columns = MarketColumns(opened, high, low, close, nothing, sides, leverages, nothing)
time = data["time"]
report(lambda: len(walk(time, columns, 3600, rules, caps, 10_000.0)[1]), repetitions=int(sys.argv[2]))
