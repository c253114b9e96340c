"""The status file's sections as the requirements list them: bot, trading, model, risk; and what a start takes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nightdesk_core.age import age_seconds, newest
from nightdesk_core.clock import MarketTime, WallTime, iso
from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.health.issues import Health
from nightdesk_exporter.metrics.catalogue import GAP_SOURCES
from nightdesk_exporter.snapshot import Snapshot


def sections(
    snapshot: Snapshot, health: Health, *, health_since: WallTime | None, bot: str, running: bool, now: WallTime
) -> dict[str, dict[str, Any]]:
    """Return what is known as of `now`; what is not known is null, and what the bot does not have is left out."""
    model = {} if "model" in snapshot.without else {"model": _model(snapshot, now)}
    return {
        "bot": {
            **_bot(snapshot, health, bot=bot, running=running),
            "health_since": _time(health_since),
            "audit": _audit(snapshot),
            "without": sorted(snapshot.without),
            **_market(snapshot),
        },
        "trading": _trading(snapshot),
        **model,
        "risk": _risk(snapshot),
    }


def _bot(snapshot: Snapshot, health: Health, *, bot: str, running: bool) -> dict[str, Any]:
    return {
        "name": bot,
        "running": running,
        "stopped_by": snapshot.stopped_by,
        "started_at": iso(snapshot.started_at),
        "health": health.verdict.value,
        "issues": [issue.to_json() for issue in health.issues],
        "heartbeat_at": _time(snapshot.heartbeat_at),
        "websocket_connected": snapshot.connected,
        "websocket_changed_at": _time(snapshot.connection_changed_at),
        "exchange_contact_at": {channel: _time(at) for channel, at in snapshot.contact_at.items()},
        "events": _events(snapshot),
    }


def _events(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the last events, oldest first: one may be told of later than what came after it."""
    events = list(snapshot.events)  # a copy, as the loop goes on appending
    events.sort(key=lambda event: event.at)
    return [{"at": iso(event.at), "level": event.level, "text": event.text} for event in events]


def _audit(snapshot: Snapshot) -> dict[str, Any] | None:
    """Return where the audit log stood: a tail that is cut off later shows against it."""
    length = snapshot.gauges.get(("audit_entries",))
    if length is None or snapshot.audit_head is None:
        return None
    return {"length": int(length), "digest": snapshot.audit_head}


def _market(snapshot: Snapshot) -> dict[str, Any]:
    """Return candles and decisions; without those that the bot does not have and has not reported either."""
    candles, decided = snapshot.candles, snapshot.decided_at
    found: dict[str, Any] = {}
    if candles or "candles" not in snapshot.without:
        found = {
            "market_time": _time(snapshot.market_time),
            "last_candle_received_at": _time(max((candle.received_at for candle in candles.values()), default=None)),
            "candles": _candles(snapshot),
        }
    if decided or "decisions" not in snapshot.without:
        found["last_decision_at"] = {symbol: _time(at) for symbol, at in decided.items()}
    return found


def _candles(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the last candle of each symbol and timeframe, also of those that are expected and never came."""
    seen = snapshot.candles
    keys = sorted({*seen, *dict(snapshot.candles_expected)})
    last = {key: seen.get(key, (None, None)) for key in keys}
    return [
        {"symbol": symbol, "timeframe": timeframe, "received_at": _time(received), "close_time": _time(closed)}
        for (symbol, timeframe), (received, closed) in last.items()
    ]


def _trading(snapshot: Snapshot) -> dict[str, Any]:
    positions, gauges = dict(snapshot.positions), dict(snapshot.gauges)
    return {
        "guard": snapshot.guard,
        "guard_reason": snapshot.guard_reason,
        "guard_limits": snapshot.guard_limits_from or None,
        "kill_switch": snapshot.kill_switch,
        "kill_switch_reason": snapshot.kill_switch_reason,
        "shadow": {
            "trades": dict(snapshot.counters).get(("shadow_trades_closed",)),
            "win_ratio": gauges.get(("shadow_win_ratio",)),
            "drawdown_ratio": gauges.get(("shadow_drawdown_ratio",)),
        },
        "regime": dict(snapshot.regimes),
        "open_positions": sum(position is not None for position in positions.values()) if positions else None,
        "recent_trades": snapshot.recent_trades,
        "last_trade_at": _time(snapshot.last_trade_at),
        "trading_expected": snapshot.trading_expected,
        "trading_expected_since": _time(snapshot.trading_expected_since),
    }


def _model(snapshot: Snapshot, now: WallTime) -> dict[str, Any]:
    model, gauges = snapshot.model, dict(snapshot.gauges)
    shown = ("live_trades", "live_win_ratio", "live_sharpe_ratio", "backtest_win_ratio", "backtest_sharpe_ratio")
    return {
        "version": model and model.version,
        "standing": model and model.standing,
        "trained_at": _time(model.trained_at) if model else None,
        "age_days": _age_days(model.trained_at, now) if model else None,
        "data_end": _time(model.data_end) if model else None,
        "load_failure": snapshot.model_failure or None,
        "performance": {name: gauges.get((f"model_{name}",)) for name in shown},
        "expectation": {
            "breached": snapshot.expectation_breached,
            "signals": snapshot.expectation_signals,
            "evalue": gauges.get(("model_expectation_evalue",)),
            "gap": {source: gauges.get(("model_gap_ratio", source)) for source in GAP_SOURCES},
            "live_to_backtest": dict(snapshot.live_to_backtest),
        },
    }


def _age_days(trained_at: WallTime, now: WallTime) -> float | None:
    """Return a model's age; one that was trained in the future has none that is known."""
    age = age_seconds(trained_at, now=now)
    return age / DAY_SECONDS if math.isfinite(age) else None


def _risk(snapshot: Snapshot) -> dict[str, Any]:
    positions = [position for position in dict(snapshot.positions).values() if position is not None]
    return {
        "currency": snapshot.currency,
        "equity": snapshot.equity,
        "equity_peak": snapshot.equity_peak,
        "drawdown_ratio": snapshot.drawdown_ratio,
        "daily_pnl_ratio": snapshot.daily_pnl_ratio,
        "day": snapshot.day,
        "day_start_equity": snapshot.day_start_equity,
        "leverage_ratio": snapshot.leverage_ratio(),
        "positions": [vars(position) for position in positions],
    }


def recall(snapshot: Snapshot, document: Mapping[str, Any], *, bot: str) -> None:
    """Take from the last run's status file what a start must not forget: the last trade, peak and day of the equity.

    Only of the same bot and currency; what is missing or odd is left out.
    """
    if _section(document, "bot").get("name") != bot:
        return
    trading, risk = _section(document, "trading"), _section(document, "risk")
    snapshot.last_trade_at = _moment(trading.get("last_trade_at"))
    since, until = _moment(trading.get("trading_expected_since")), _positive(trading.get("updated_at"))
    if trading.get("trading_expected") is True and since is not None and until is not None:
        # The time that the bot was down is not held against it: the wait goes on where it was.
        last = newest([since, snapshot.last_trade_at or since], now=WallTime(until))
        waited = max(0.0, min(WallTime(until), snapshot.started_at) - last)
        snapshot.trading_expected_since = snapshot.started_at - waited
    if risk.get("currency") != snapshot.currency:
        return
    snapshot.equity_peak = _positive(risk.get("equity_peak"))
    day, start = risk.get("day"), _positive(risk.get("day_start_equity"))
    if isinstance(day, int) and start is not None:
        snapshot.day, snapshot.day_start_equity = day, start
    equity, written = _positive(risk.get("equity")), _positive(risk.get("updated_at"))
    if equity is not None and written is not None and snapshot.equity_peak is not None:
        peaks, starts = (snapshot.equity_peak,), (snapshot.day_start_equity or equity,)
        snapshot.account = snapshot.account.show(WallTime(written), equity, peaks=peaks, starts=starts)


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name)
    return section if isinstance(section, dict) else {}


def _positive(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return float(value) if usable else None


def _moment(value: Any) -> WallTime | None:
    try:
        return WallTime(datetime.fromisoformat(value).timestamp())
    except (TypeError, ValueError):
        return None


def _time(moment: WallTime | MarketTime | None) -> str | None:
    return None if moment is None else iso(moment)
