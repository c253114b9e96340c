"""Triple-barrier labels of the same events by mlfinpy, on closes, as it does them."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
from measure import report
from mlfinpy.labeling import add_vertical_barrier, get_bins, get_events

warnings.simplefilter("ignore")
data = np.load(sys.argv[1])
close = pd.Series(data["close"], index=pd.to_datetime(data["time"], unit="s"))
moments = close.index[data["events"]]
target = pd.Series(0.01, index=close.index)


def label() -> int:
    vertical = add_vertical_barrier(moments, close, num_hours=24)
    events = get_events(
        close, moments, pt_sl=[2, 1], target=target, min_ret=0.0, num_threads=1, vertical_barrier_times=vertical
    )
    return len(get_bins(events, close))


report(label, repetitions=int(sys.argv[2]))
