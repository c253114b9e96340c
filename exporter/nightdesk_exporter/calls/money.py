"""The account. Where the bot keeps no peak and no day of its own, they are kept here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nightdesk_alerts.catalogue import Severity, daily_loss_severity, drawdown_severity
from nightdesk_core.cash_flows import AccountHistory, CashFlow, CashFlowError, factor_between, moved
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.numbers import Number
from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.arguments import LARGEST, WrongCallError, moment, number, text
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
        equity, and the one at midnight. Tell of money that is paid in or out by `cash_flow`. An equity that is older
        than the one known changes nothing.
        """
        if type(equity) is not float or not 0.0 <= equity <= LARGEST:
            equity = number(equity, "equity", least=0)
        snapshot, stamp = self.snapshot, self._clock() if at is None else self._stamp(at)
        if at is not None and self._newest(snapshot.equity_at_wall, at) != stamp:
            return
        market_time = stamp if snapshot.newest_close_market is None else snapshot.newest_close_market
        reckoned = self._reckoned(equity) if snapshot.account_emptied else equity
        highest = number(peak, "peak") if peak is not None else max(reckoned, snapshot.equity_peak or reckoned)
        if highest <= 0:
            raise WrongCallError("peak", f"is {highest:g}; pass the highest equity so far, which is positive")
        own = None if daily_pnl_ratio is None else number(daily_pnl_ratio, "daily_pnl_ratio")
        start = self._day_start(reckoned, int(market_time // DAY_SECONDS))
        daily = own if own is not None else reckoned / start - 1 if start > 0 else 0.0
        drawdown = 1 - reckoned / highest if reckoned < highest else 0.0
        if not snapshot.account_emptied:
            snapshot.shown_since.append((stamp, reckoned, highest, start))
        if snapshot.equity is None:
            self._touched = True
        snapshot.equity = equity
        snapshot.equity_at_wall = stamp
        snapshot.equity_peak = highest
        snapshot.drawdown_ratio = drawdown
        snapshot.daily_pnl_ratio = daily
        if market_time >= snapshot.curve.next_at or market_time < snapshot.curve.last_at:
            snapshot.curve.add(Point(market_time, equity, drawdown))
        self._judge()

    @never_raises
    def cash_flow(
        self, amount: Number, *, currency: str | None = None, at: Moment | None = None, flow_id: str = ""
    ) -> None:
        """Money was paid into the account, or out of it where `amount` is negative: neither profit nor loss.

        `amount` is in the account's currency: convert what was paid in another. By a `flow_id` it counts once, though
        told again. Peak and day are scaled by the newest equity from before it, as in the guard's `cash_flow`, so that
        drawdown and the day's change stay. After a start that is the last one in the status file.
        """
        snapshot, paid = self.snapshot, number(amount, "amount")
        flow = CashFlow(paid, WallTime(self._stamp(at)), text(flow_id, "flow_id"))
        if currency is not None and text(currency, "currency") != snapshot.currency:
            raise WrongCallError(
                "currency", f"is {currency!r}; the account is in {snapshot.currency}: convert the amount"
            )
        try:
            account = self._account()
            if account.knows(flow):
                return
            account = account.paid(flow)
        except CashFlowError as error:
            raise WrongCallError("amount", f"cannot be: {error}") from error
        self._count("deposits" if paid > 0 else "withdrawals", snapshot.currency, by=abs(paid))
        self._go_on_with(account, until=flow.at.seconds)
        what = "deposit" if paid > 0 else "withdrawal"
        self._tell("INFO", f"{what} of {abs(paid):.2f} {snapshot.currency}", at=flow.at.seconds)
        self._judge()
        self.changed()

    @never_raises
    def equity_history(self, points: Iterable[tuple[float | datetime | MarketTime, Number]]) -> None:
        """Equity from before this start, oldest first, as (market time, equity): the page's charts begin with it."""
        peak = 0.0
        for at, equity in points:
            time, value = moment(at, "points"), number(equity, "points", least=0)
            peak = max(peak, value)
            self.snapshot.curve.add(Point(time, value, 1 - value / peak if peak > 0 else 0.0))

    def _account(self) -> AccountHistory:
        """Return the account's history until now, put together for a flow only: `equity` is called far oftener."""
        snapshot = self.snapshot
        while snapshot.shown_since:
            at, equity, peak, start = snapshot.shown_since.popleft()
            snapshot.account = snapshot.account.show(WallTime(at), equity, peaks=(peak,), starts=(start,))
        return snapshot.account

    def _reckoned(self, equity: float) -> float:
        """Return the equity to go by after the account was emptied: its ratios stay until it has money again."""
        self._go_on_with(self._account().expecting(equity), until=self._clock())
        return self.snapshot.account.reckoned(equity)

    def _go_on_with(self, account: AccountHistory, *, until: float) -> None:
        """Take over another history of the account: what was measured in the money of before moves to that of now."""
        snapshot, before = self.snapshot, self.snapshot.account
        snapshot.account, snapshot.account_emptied = account, account.is_empty
        if account.shown == before.shown:
            return
        factor = factor_between(before, account)
        snapshot.curve.scale(factor, until=until)
        last = account.shown[-1].factor / before.shown[-1].factor
        (old_peak,), (old_start,) = before.peaks, before.starts
        (peak,), (start,) = account.peaks, account.starts
        if snapshot.equity_peak is not None:
            snapshot.equity_peak = moved(snapshot.equity_peak, old_peak, peak, factor=last)
        if snapshot.day_start_equity is not None:
            snapshot.day_start_equity = moved(snapshot.day_start_equity, old_start, start, factor=last)
        if snapshot.equity is not None:
            snapshot.equity = account.equity
            snapshot.drawdown_ratio = max(0.0, 1 - account.equity / (snapshot.equity_peak or account.equity))
            if snapshot.day_start_equity:
                snapshot.daily_pnl_ratio = account.equity / snapshot.day_start_equity - 1

    def _judge(self) -> None:
        """Have alerts follow at once where drawdown or the loss of the day have become graver, or less grave."""
        snapshot, limits = self.snapshot, self._limits
        if snapshot.drawdown_ratio is None or snapshot.daily_pnl_ratio is None:
            return
        severities = (
            drawdown_severity(snapshot.drawdown_ratio, limits),
            daily_loss_severity(snapshot.daily_pnl_ratio, limits),
        )
        if severities != self._severities:
            self._severities = severities
            self.changed()

    def _day_start(self, equity: float, day: int) -> float:
        """Return the equity that the day began with: the last one of the day before."""
        snapshot = self.snapshot
        if snapshot.day != day or snapshot.day_start_equity is None:
            start = equity
            if snapshot.day is not None and snapshot.equity is not None and snapshot.equity_at_wall is not None:
                start = snapshot.account.equity if snapshot.account_emptied else snapshot.equity
                if snapshot.equity_peak is not None and not snapshot.account_emptied:
                    snapshot.shown_since.append((snapshot.equity_at_wall, start, snapshot.equity_peak, start))
            snapshot.day, snapshot.day_start_equity = day, start
        return snapshot.day_start_equity
