"""Triple-barrier labels of the shared events, by the engine's own compiled steps."""

from __future__ import annotations

import sys

import numpy as np
from measure import report
from nightdesk_trendbot.engine.broker import Barriers, Costs
from nightdesk_trendbot.engine.rules import Rules
from nightdesk_trendbot.model.labels import CandleColumns, walk

data = np.load(sys.argv[1])
events = data["events"]
sides = np.ones(len(events), dtype=np.int64)
funding = volatility = np.zeros(len(data["time"]))
columns = CandleColumns(data["time"], data["open"], data["high"], data["low"], data["close"], funding)
rules = Rules(Costs(0.00055, 0.00015), Barriers(0.02, 0.01, 24 * 3600), False, False, 0.035)
report(
    lambda: len(walk(columns, 3600, events, sides, volatility, rules)[1]),
    repetitions=int(sys.argv[2]),
)
