"""A stop-and-target backtest of a million bars, by the engine's own compiled steps."""

from __future__ import annotations

import sys

import numpy as np
from measure import report
from nightdesk_trendbot.broker import Barriers, Costs
from nightdesk_trendbot.portfolio import Caps
from nightdesk_trendbot.rules import Rules
from nightdesk_trendbot.simulation import walk

data = np.load(sys.argv[1])
columns = [data[name] for name in ("open", "high", "low", "close")]
prices = np.stack([*columns, np.zeros(len(columns[0]))])[np.newaxis]
time, sides = data["time"], data["sides"][np.newaxis]
sizes = np.stack([np.ones(sides.shape[1]), np.zeros(sides.shape[1])])[np.newaxis]
rules = Rules(Costs(0.00055, 0.00015), Barriers(0.02, 0.01, 24 * 3600), False, False, 0.035)
caps = Caps(2.4, 0.015, 0.6, 240 * 3600, 0.25)
report(
    lambda: len(walk(time, prices, sides, sizes, 3600, rules, caps, 10_000.0)[1]),
    repetitions=int(sys.argv[2]),
)
