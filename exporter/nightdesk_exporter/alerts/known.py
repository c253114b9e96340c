"""Of which conditions the bot has said enough, since its start, for the health check to know whether they hold.

An alert of a run before is withdrawn only where its condition is known not to hold: a bot that has just started and has
reported no equity yet has no drawdown that the check could find, and is not thereby out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nightdesk_exporter.conditions import TROUBLE_SECONDS
from nightdesk_exporter.snapshot import Snapshot


def known_conditions(snapshot: Snapshot, now: float) -> Iterator[str]:
    """Yield their alertnames, as of wall time `now`."""
    for name, is_known in _KNOWN.items():
        if is_known(snapshot, now):
            yield name


def _sees_every_candle(snapshot: Snapshot) -> bool:
    expected = tuple(snapshot.candles_expected)
    seen = bool(snapshot.candles) and all(each in snapshot.candles for each in expected)
    return snapshot.trading_expected is False or seen


def _decides(snapshot: Snapshot) -> bool:
    symbols = {symbol for symbol, _ in tuple(snapshot.candles_expected)}
    return snapshot.trading_expected is False or (bool(symbols) and symbols <= snapshot.decided_at.keys())


def _has_had_time_to_fail(snapshot: Snapshot, now: float) -> bool:
    return now - snapshot.started_at >= TROUBLE_SECONDS


_KNOWN: dict[str, Callable[[Snapshot, float], bool]] = {
    "TradebotLoopStalled": lambda snapshot, _: snapshot.heartbeat_at is not None,
    "TradebotExchangeDisconnected": lambda snapshot, _: bool(snapshot.contact_at),
    "TradebotClockSkewed": lambda snapshot, _: snapshot.clock_offset is not None,
    "TradebotCandleStale": lambda snapshot, _: _sees_every_candle(snapshot),
    "TradebotUnhealthy": lambda snapshot, _: _decides(snapshot),
    "TradebotGuardPaused": lambda snapshot, _: snapshot.guard is not None,
    "TradebotGuardReduced": lambda snapshot, _: snapshot.guard is not None,
    "TradebotKillSwitchActive": lambda snapshot, _: snapshot.kill_switch is not None,
    "TradebotNoTrades": lambda snapshot, _: snapshot.trading_expected is not None,
    "TradebotModelMissing": lambda snapshot, _: snapshot.model_known,
    "TradebotModelNotLoaded": lambda snapshot, _: snapshot.model_known,
    "TradebotModelStale": lambda snapshot, _: snapshot.model_known,
    "TradebotModelUnderperforming": lambda snapshot, _: snapshot.expectation_breached is not None,
    "TradebotDrawdownHigh": lambda snapshot, _: snapshot.drawdown_ratio is not None,
    "TradebotDailyLossHigh": lambda snapshot, _: snapshot.daily_pnl_ratio is not None,
    "TradebotLeverageHigh": lambda snapshot, _: bool(snapshot.positions),
    "TradebotSnapshotStale": lambda snapshot, _: snapshot.equity_at is not None,
    "TradebotStatusFileStale": lambda snapshot, _: snapshot.status_written_at is not None,
    "TradebotCollectorFailing": _has_had_time_to_fail,
    "TradebotAlertsDropped": _has_had_time_to_fail,
}
"""By alertname."""
