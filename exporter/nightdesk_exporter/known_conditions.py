"""Of which conditions the bot has said enough, since its start, for the health check to know whether they hold.

An alert of a run before is withdrawn only where its condition is known not to hold: a bot that has just started and has
reported no equity yet has no drawdown that the check could find, and is not thereby out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nightdesk_exporter.snapshot import Limits, Snapshot


def known_conditions(snapshot: Snapshot, limits: Limits, *, now: float) -> Iterator[str]:
    """Yield their alertnames, as of wall time `now`."""
    for name, is_known in _KNOWN.items():
        if is_known(snapshot):
            yield name
    # That nothing of the exporter's own has failed shows once a failure would no longer count.
    if now - snapshot.started_at >= limits.trouble_seconds:
        yield from ("TradebotCollectorFailing", "TradebotAlertsDropped")


def _sees_every_candle(snapshot: Snapshot) -> bool:
    expected = tuple(snapshot.candles_expected)
    seen = bool(snapshot.candles) and all(each in snapshot.candles for each in expected)
    return snapshot.trading_expected is False or seen


def _decides(snapshot: Snapshot) -> bool:
    symbols = {symbol for symbol, _ in tuple(snapshot.candles_expected)}
    return snapshot.trading_expected is False or (bool(symbols) and symbols <= snapshot.decided_at.keys())


_KNOWN: dict[str, Callable[[Snapshot], bool]] = {
    "TradebotLoopStalled": lambda snapshot: snapshot.heartbeat_at is not None,
    "TradebotExchangeDisconnected": lambda snapshot: bool(snapshot.contact_at),
    "TradebotClockSkewed": lambda snapshot: snapshot.clock_offset is not None,
    "TradebotCandleStale": lambda snapshot: _sees_every_candle(snapshot),
    "TradebotUnhealthy": lambda snapshot: _decides(snapshot),
    "TradebotGuardPaused": lambda snapshot: snapshot.guard is not None,
    "TradebotGuardReduced": lambda snapshot: snapshot.guard is not None,
    "TradebotKillSwitchActive": lambda snapshot: snapshot.kill_switch is not None,
    "TradebotNoTrades": lambda snapshot: snapshot.trading_expected is not None,
    "TradebotModelMissing": lambda snapshot: snapshot.model_known,
    "TradebotModelNotLoaded": lambda snapshot: snapshot.model_known,
    "TradebotModelStale": lambda snapshot: snapshot.model_known,
    "TradebotModelUnderperforming": lambda snapshot: snapshot.expectation_breached is not None,
    "TradebotDrawdownHigh": lambda snapshot: snapshot.drawdown_ratio is not None,
    "TradebotDailyLossHigh": lambda snapshot: snapshot.daily_pnl_ratio is not None,
    "TradebotLeverageHigh": lambda snapshot: bool(snapshot.positions),
    "TradebotSnapshotStale": lambda snapshot: snapshot.equity_at is not None,
    "TradebotStatusFileStale": lambda snapshot: snapshot.status_written_at is not None,
}
"""By alertname."""
