"""What a deposit or a withdrawal makes of all the money that the guard remembers: each ratio stays as it is."""

from __future__ import annotations

from dataclasses import replace

from nightdesk_core.cash_flows import AccountHistory, moved
from nightdesk_core.clock import WallTime

from nightdesk_guard.policy import GuardMemory
from nightdesk_guard.store import Remembered
from nightdesk_guard.tripwire import Anchors


def rescaled(known: Remembered, anchors: Anchors, account: AccountHistory) -> tuple[Remembered, Anchors]:
    """Return memory and anchors as they are with another history of the account."""
    before = known.account
    if account.shown == before.shown:
        return replace(known, account=account), anchors
    factor = account.shown[-1].factor / before.shown[-1].factor
    (peak, own_peak), (day_start, shadow_start) = before.peaks, before.starts
    (peak_now, own_peak_now), (day_start_now, shadow_start_now) = account.peaks, account.starts
    shadow_factor = shadow_start_now / shadow_start if shadow_start > 0 else 1.0
    state = known.memory.performance
    state = replace(
        state,
        equity=account.equity,
        peak_equity=moved(state.peak_equity, own_peak, own_peak_now, factor=factor),
        shadow=state.shadow.scaled(shadow_factor),
    )
    now = replace(
        known,
        memory=replace(known.memory, performance=state),
        shadow_equity=None if known.shadow_equity is None else known.shadow_equity * shadow_factor,
        account=account,
    )
    return now, replace(
        anchors,
        peak=moved(anchors.peak, peak, peak_now, factor=factor),
        day_start=moved(anchors.day_start, day_start, day_start_now, factor=factor),
    )


def shown(known: Remembered, at: WallTime, equity: float, *, anchors: Anchors, memory: GuardMemory) -> AccountHistory:
    """Return the account's history with an equity, which has led to these anchors and this memory."""
    began = known.account.starts[1] if known.account.shown else 0.0
    shadow_start = (began or equity) if memory.holds_back else 0.0
    peaks, starts = (anchors.peak, memory.performance.peak_equity), (anchors.day_start, shadow_start)
    return known.account.show(at, equity, peaks=peaks, starts=starts)
