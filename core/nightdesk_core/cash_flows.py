"""Deposits and withdrawals: what falls of an account are measured from moves with the money that is paid in or out.

A flow scales the account: with E the newest equity that was shown before the flow's moment, every peak and every start
is multiplied by (E + amount) / E, so that each ratio is the same after it as before. Whatever the price did between
that equity and the next counts as if it came after the flow: show the equity just before, and it is exact. A flow that
is told late is put where it belongs, and what was shown since is measured anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError

MOST_SHOWN = 100
"""How many equities are remembered, for flows that are told late."""
_MOST_FLOWS = 200
_EMPTY = 1e-3
"""Of an account that keeps less than this share of its money, ratios say nothing."""
_UNSEEN_GAIN = 1.25
"""What is taken out beyond this multiple of the equity is no price that moved since, but a flow that cannot be."""
_ALIKE = 1e-9


class CashFlowError(NightdeskError):
    """A flow that cannot be; the message says why, and what to do."""


@dataclass(frozen=True)
class CashFlow:
    """Money that was paid in, or out where `amount` is negative."""

    amount: float
    """In the account's currency."""
    at: WallTime
    id: str = ""
    """By which it is known when it is told again; empty for none."""


class Shown(NamedTuple):
    """An equity as it was shown, in the money of that moment, with what falls were measured from then."""

    at: WallTime
    equity: float
    peaks: tuple[float, ...]
    starts: tuple[float, ...]
    begun: tuple[bool, ...]
    """Which of the peaks and the starts began anew with it."""
    paid_in: float = 0.0
    """What was paid in since, before the next was shown; what was paid out is subtracted."""
    factor: float = 1.0
    """What the account was scaled by for that."""


@dataclass(frozen=True)
class AccountHistory:
    """The last equities that were shown, and the last flows that have an id. It is replaced, never changed."""

    shown: tuple[Shown, ...] = ()
    flows: tuple[CashFlow, ...] = ()

    @property
    def equity(self) -> float:
        """The account's money as it is known to be: as last shown, with what was paid since. 0 before any was shown."""
        return self.shown[-1].equity * self.shown[-1].factor if self.shown else 0.0

    @property
    def peaks(self) -> tuple[float, ...]:
        """The peaks in the money of now."""
        return _scaled(self.shown[-1].peaks, self.shown[-1].factor) if self.shown else ()

    @property
    def starts(self) -> tuple[float, ...]:
        """The starts in the money of now."""
        return _scaled(self.shown[-1].starts, self.shown[-1].factor) if self.shown else ()

    @property
    def is_empty(self) -> bool:
        """Whether all the money was taken out since the last equity."""
        last = self.shown[-1] if self.shown else None
        return last is not None and last.paid_in < 0 and last.equity + last.paid_in < _EMPTY * last.equity

    def expecting(self, equity: float) -> Self:
        """Return the history before a new equity is shown: one that was emptied is known by what is left of it."""
        if not self.is_empty or equity < _EMPTY * self.shown[-1].equity:
            return self
        last = self.shown[-1]
        # More than a price could have made of it: it was never emptied, and a loss must not hide behind that.
        left = equity if equity - last.paid_in <= _UNSEEN_GAIN * last.equity else last.equity * last.factor
        return replace(
            self, shown=(*self.shown[:-1], last._replace(factor=left / last.equity, paid_in=left - last.equity))
        )

    def reckoned(self, equity: float) -> float:
        """Return the equity to go by: while the account is empty, the one before, whose ratios still hold."""
        return self.equity if self.is_empty and equity < _EMPTY * self.shown[-1].equity else equity

    def show(self, at: WallTime, equity: float, *, peaks: tuple[float, ...], starts: tuple[float, ...]) -> Self:
        """Return the history with an equity, and what falls are measured from with it. It must be `expecting` it."""
        if self.is_empty:
            return self
        before = (*self.peaks, *self.starts) or (0.0,) * len(peaks + starts)
        fell = [now < was * (1 - _ALIKE) for now, was in zip(peaks, before, strict=False)]
        other = [not _alike(now, was) for now, was in zip(starts, before[len(peaks) :], strict=True)]
        new = Shown(at, equity, peaks, starts, (*fell, *other))
        return replace(self, shown=(*self.shown, new)[-MOST_SHOWN:])

    def knows(self, flow: CashFlow) -> bool:
        """Return whether a flow was told before. Raises `CashFlowError` where another was told by its id."""
        known = next((each for each in self.flows if flow.id and each.id == flow.id), None)
        if known is not None and known.amount != flow.amount:
            raise CashFlowError(
                f"the cash flow {flow.id!r} was told as {known.amount:g} before, and now as {flow.amount:g}:"
                " give each flow an id of its own"
            )
        return known is not None

    def paid(self, flow: CashFlow) -> Self:
        """Return the history with a flow in it. One from before all that is remembered moves nothing any more.

        Raises `CashFlowError` where more is taken out than can have been there.
        """
        index = next((n for n in reversed(range(len(self.shown))) if self.shown[n].at <= flow.at), None)
        told = replace(self, flows=(*self.flows, flow)[-_MOST_FLOWS:]) if flow.id else self
        if index is None:
            return told
        before = self.shown[index]
        paid_in = before.paid_in + flow.amount
        if paid_in < -before.equity * _UNSEEN_GAIN - _EMPTY:
            raise CashFlowError(
                f"a cash flow of {flow.amount:g} takes out more than the {before.equity + before.paid_in:g} that were"
                " there: tell each once and in the account's currency; show the equity just before it, then tell it"
            )
        following = self.shown[index + 1 :]
        factor = (before.equity + paid_in) / before.equity if before.equity > 0 else 1.0
        if not factor < math.inf:
            raise CashFlowError(f"a cash flow of {flow.amount:g} onto {before.equity:g} cannot be reckoned with")
        if factor < _EMPTY:
            factor = following[0].equity / before.equity if following and following[0].equity > 0 else before.factor
        now = [*self.shown[:index], before._replace(paid_in=paid_in, factor=factor)]
        for each in following:
            now.append(_measured_anew(each, now[-1]))
        return replace(told, shown=tuple(now))


def factor_between(before: AccountHistory, after: AccountHistory) -> float:
    """Return what the account was scaled by where a history came to differ from the one before; 1 for nowhere."""
    pairs = zip(before.shown, after.shown, strict=False)
    return next((new.factor / old.factor for old, new in pairs if new.factor != old.factor), 1.0)


def moved(value: float, before: float, after: float, *, factor: float) -> float:
    """Return what becomes of a peak or a start that is `value`, where the history's own goes from `before` to `after`.

    One that has begun anew since the last equity is not the history's: it is multiplied by `factor`.
    """
    return after if _alike(value, before) else value * factor


def _measured_anew(shown: Shown, before: Shown) -> Shown:
    """Return an equity as it is measured after another that has changed."""
    carried = (*_scaled(before.peaks, before.factor), *_scaled(before.starts, before.factor))
    # What begins with nothing has ended with it.
    anew = [value and shown.equity for value in (*shown.peaks, *shown.starts)]
    kept = [new if begun else value for value, new, begun in zip(carried, anew, shown.begun, strict=True)]
    count = len(shown.peaks)
    peaks = tuple(max(value, shown.equity) for value in kept[:count])
    return shown._replace(peaks=peaks, starts=tuple(kept[count:]))


def _scaled(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in values)


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_ALIKE)
