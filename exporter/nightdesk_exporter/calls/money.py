"""The account. Where the bot keeps no peak and no day of its own, they are kept here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nightdesk_alerts.catalogue import Severity, daily_loss_severity, drawdown_severity
from nightdesk_core.clock import MarketTime
from nightdesk_core.numbers import Number
from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.arguments import LARGEST, WrongCallError, moment, number
from nightdesk_exporter.calls.base import Calls, Moment, never_raises
from nightdesk_exporter.curve import Point


class MoneyCalls(Calls):
    """Equity, its peak and its day."""

    _severities: tuple[Severity | None, Severity | None] = (None, None)
    """How grave drawdown and loss of the day were when the account was last reported."""

    @never_raises
    def equity(
        self,
        equity: Number,
        *,
        peak: Number | None = None,
        daily_pnl_ratio: Number | None = None,
        at: Moment | None = None,
    ) -> None:
        """The account, marked to market. `daily_pnl_ratio` is its change since midnight UTC of market time.

        What is left out is kept from call to call, and from run to run where there is a status file: the highest
        equity, and the one at midnight. Pass your own where money is paid in or out. An equity that is older than
        the one known changes nothing.
        """
        if type(equity) is not float or not 0.0 <= equity <= LARGEST:
            equity = number(equity, "equity", least=0)
        snapshot, stamp = self.snapshot, self._clock() if at is None else self._stamp(at)
        if at is not None and self._newest(snapshot.equity_at_wall, at) != stamp:
            return
        market_time = stamp if snapshot.newest_close_market is None else snapshot.newest_close_market
        highest = number(peak, "peak") if peak is not None else max(equity, snapshot.equity_peak or equity)
        if highest <= 0:
            raise WrongCallError("peak", f"is {highest:g}; pass the highest equity so far, which is positive")
        if daily_pnl_ratio is not None:
            daily = number(daily_pnl_ratio, "daily_pnl_ratio")
        else:
            start = self._day_start(equity, int(market_time // DAY_SECONDS))
            daily = equity / start - 1 if start > 0 else 0.0
        drawdown = 1 - equity / highest if equity < highest else 0.0
        if snapshot.equity is None:
            self._touched = True
        snapshot.equity = equity
        snapshot.equity_at_wall = stamp
        snapshot.equity_peak = highest
        snapshot.drawdown_ratio = drawdown
        snapshot.daily_pnl_ratio = daily
        if market_time >= snapshot.curve.next_at or market_time < snapshot.curve.last_at:
            snapshot.curve.add(Point(market_time, equity, drawdown))
        severities = (drawdown_severity(drawdown, self._limits), daily_loss_severity(daily, self._limits))
        if severities != self._severities:
            self._severities = severities
            self.changed()

    @never_raises
    def equity_history(self, points: Iterable[tuple[float | datetime | MarketTime, Number]]) -> None:
        """Equity from before this start, oldest first, as (market time, equity): the page's charts begin with it."""
        peak = 0.0
        for at, equity in points:
            time, value = moment(at, "points"), number(equity, "points", least=0)
            peak = max(peak, value)
            self.snapshot.curve.add(Point(time, value, 1 - value / peak if peak > 0 else 0.0))

    def _day_start(self, equity: float, day: int) -> float:
        """Return the equity that the day began with: the last one of the day before."""
        snapshot = self.snapshot
        if snapshot.day != day or snapshot.day_start_equity is None:
            snapshot.day_start_equity = equity if snapshot.equity is None or snapshot.day is None else snapshot.equity
            snapshot.day = day
        return snapshot.day_start_equity
