"""The status file's sections as the requirements list them: bot, trading, model, risk."""

from __future__ import annotations

from typing import Any

from nightdesk_core.clock import iso

from nightdesk_exporter.health import Health
from nightdesk_exporter.snapshot import Snapshot

_DAY_SECONDS = 86_400


def sections(snapshot: Snapshot, health: Health, *, bot: str, running: bool, now: float) -> dict[str, dict[str, Any]]:
    """Return what is known as of wall time `now`; what is not known is null."""
    model = snapshot.model
    positions = [position for position in snapshot.positions.values() if position is not None]
    return {
        "bot": {
            "name": bot,
            "running": running,
            "health": health.verdict.value,
            "issues": [{"name": issue.name, "cause": issue.cause} for issue in health.issues],
            "heartbeat_at": _time(snapshot.heartbeat_at),
            "market_time": _time(snapshot.market_time),
            "last_candle_received_at": _time(
                max((seen.received_at for seen in snapshot.candles.values()), default=None)
            ),
            "websocket_connected": snapshot.connected,
            "exchange_contact_at": {channel: _time(at) for channel, at in snapshot.contact_at.items()},
        },
        "trading": {
            "guard": snapshot.guard,
            "guard_reason": snapshot.guard_reason,
            "kill_switch": snapshot.kill_switch,
            "kill_switch_reason": snapshot.kill_switch_reason,
            "regime": dict(snapshot.regimes),
            "open_positions": len(positions) if snapshot.positions else None,
            "recent_trades": snapshot.recent_trades,
            "trading_expected": snapshot.trading_expected,
        },
        "model": {
            "version": model and model.version,
            "standing": model and model.standing,
            "trained_at": _time(model.trained_at) if model else None,
            "age_days": (now - model.trained_at) / _DAY_SECONDS if model else None,
            "data_end": _time(model.data_end) if model else None,
        },
        "risk": {
            "currency": snapshot.currency,
            "equity": snapshot.equity,
            "equity_peak": snapshot.equity_peak,
            "drawdown_ratio": snapshot.drawdown_ratio,
            "daily_pnl_ratio": snapshot.daily_pnl_ratio,
            "leverage_ratio": snapshot.leverage_ratio(),
            "positions": [vars(position) for position in positions],
        },
    }


def _time(timestamp: float | None) -> str | None:
    return None if timestamp is None else iso(timestamp)
