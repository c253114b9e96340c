"""An exchange that tells the history of one series, page by page, and whatever goes wrong with that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.candle_store.collect import Page, Series
from nightdesk_trendbot.market.rows import Mask
from nightdesk_trendbot.signals.candles import Floats, Ints

from tests.trendbot.conftest import HOUR

PAGE = 10


def sound(time: Ints, values: Floats) -> Mask:
    """Whole hours and a positive price."""
    return np.asarray((time % HOUR == 0) & (values[:, 0] > 0))


SERIES = Series(
    columns=("price", "volume"),
    sound=sound,
    identity=1,
    overlap_seconds=4 * HOUR,
    interval_seconds=HOUR,
    page_seconds=PAGE * HOUR,
)


class Told:
    """What the exchange has, by the hour: price and volume. `requests` are those made, in hours."""

    def __init__(self, hours: range | list[int]) -> None:
        self.rows: dict[int, tuple[float, float]] = {hour: (hour + 0.5, hour * 2.0) for hour in hours}
        self.requests: list[tuple[int, int]] = []
        self.fails_after: int | None = None
        self.hidden_once: set[int] = set()
        """Hours that the next answer about them leaves out."""
        self.besides: list[tuple[float, float, float]] = []
        """Further rows, as time in hours, price and volume."""

    async def pages(self, start: int, stop: int) -> AsyncIterator[Page]:
        """Tell [start, stop), ten hours at once."""
        for since in range(start, stop, PAGE * HOUR):
            until = min(since + PAGE * HOUR, stop)
            if self.fails_after is not None and len(self.requests) >= self.fails_after:
                raise DataError("the exchange did not answer")
            self.requests.append((since // HOUR, -(-until // HOUR)))
            rows = [(hour * HOUR, *row) for hour, row in self.rows.items() if hour not in self.hidden_once]
            rows += [(int(hour * HOUR), price, volume) for hour, price, volume in self.besides]
            table = np.array([row for row in rows if since <= row[0] < until], dtype=np.float64).reshape(-1, 3)
            self.hidden_once -= {hour for hour in self.hidden_once if since <= hour * HOUR < until}
            yield Page(table[:, 0].astype(np.int64), table[:, 1:], until)
