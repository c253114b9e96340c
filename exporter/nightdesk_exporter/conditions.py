"""The health check's conditions: pure functions of what is known, the limits and the time.

Each one that has an alert holds exactly where the alert's expression does, before its `for`; a test drives both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.alert_names import ALERTS
from nightdesk_exporter.health import Health, Issue, Verdict
from nightdesk_exporter.snapshot import Limits, Snapshot

_DEGRADED, _UNHEALTHY = Verdict.DEGRADED, Verdict.UNHEALTHY


def assess(snapshot: Snapshot, limits: Limits, *, now: float) -> Health:
    """Return the bot's health at wall time `now`. What is unknown counts as wrong once the bot has had its time."""
    issues = tuple(_issues(snapshot, limits, now))
    worst = Verdict.HEALTHY
    if any(issue.verdict is Verdict.DEGRADED for issue in issues):
        worst = Verdict.DEGRADED
    if any(issue.verdict is Verdict.UNHEALTHY for issue in issues):
        worst = Verdict.UNHEALTHY
    if snapshot.heartbeat_at is None and worst is not Verdict.UNHEALTHY:
        worst = Verdict.UNKNOWN
    return Health(worst, issues)


def _issues(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    yield from _liveness(snapshot, limits, now)
    yield from _progress(snapshot, limits, now)
    yield from _held_back(snapshot)
    yield from _no_trades(snapshot, limits, now)
    yield from _model(snapshot, limits, now)
    yield from _risk(snapshot, limits, now)
    yield from _plumbing(snapshot, limits, now)


def _late(name: str, what: str, last: float, limit: float, now: float, **labels: str) -> Iterator[Issue]:
    """Yield the issue that something last happened at `last`, longer ago than `limit`."""
    if now - last > limit:
        cause = f"{what} for {now - last:.0f} s, the limit is {limit:.0f} s"
        yield Issue(name, _UNHEALTHY, cause, limit, last + limit, ALERTS.get(name), labels)


def _liveness(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    beat = snapshot.heartbeat_at or snapshot.started_at
    yield from _late("loop_stalled", "no turn of the loop", beat, limits.heartbeat_seconds, now)
    contact = max(dict(snapshot.contact_at).values(), default=snapshot.started_at)
    limit = limits.exchange_contact_seconds
    yield from _late("exchange_disconnected", "no contact with the exchange", contact, limit, now)
    broken_at = snapshot.connection_changed_at
    if snapshot.connected is False and broken_at is not None and now - broken_at > limit:
        cause = f"the candle stream has been broken for {now - broken_at:.0f} s, the limit is {limit:.0f} s"
        yield Issue("websocket_disconnected", _DEGRADED, cause, limit, broken_at + limit)
    offset, most = snapshot.clock_offset, limits.clock_offset_seconds
    if offset is not None and abs(offset) > most:
        cause = f"the exchange's clock is {offset:+.1f} s from ours, the limit is {most:g} s"
        yield Issue("clock_skewed", _DEGRADED, cause, most, alert=ALERTS["clock_skewed"])


def _progress(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    """Candles that do not come, and candles that nobody decides on: a loop that turns says nothing of either."""
    if snapshot.trading_expected is False:
        return
    reopened = snapshot.trading_expected_since or 0.0
    expected = dict(snapshot.candles_expected)
    stale, waiting = set(), dict[str, tuple[float, float]]()
    for (symbol, timeframe), candles in expected.items():
        seen = snapshot.candles.get((symbol, timeframe))
        # One that never came is late, too: from when it was expected, or from when the market opened again.
        last = max(candles.since if seen is None else seen[0], reopened)
        limit = 2 * candles.interval_seconds + limits.candle_grace_seconds
        since, longest = waiting.get(symbol, (0.0, 0.0))
        waiting[symbol] = (max(candles.since, reopened, since), max(limit, longest))
        for issue in _late(
            "candle_stale", f"no candle of {symbol} {timeframe}", last, limit, now, symbol=symbol, timeframe=timeframe
        ):
            stale.add(symbol)
            yield _with_position(issue, snapshot, symbol)
    for symbol, (since, limit) in waiting.items():
        if symbol not in stale:  # there the candles are what is missing
            last = max(snapshot.decided_at.get(symbol, 0.0), since)
            yield from _late("no_decision", f"no decision on {symbol}", last, limit, now, symbol=symbol)
    if not expected:
        limit = limits.first_candle_seconds
        yield from _late("candle_stale", "no candles are expected, nor any seen,", snapshot.started_at, limit, now)


def _with_position(issue: Issue, snapshot: Snapshot, symbol: str) -> Issue:
    if snapshot.positions.get(symbol) is None:
        return issue
    return replace(issue, alert=ALERTS["candle_stale, holding"])


def _held_back(snapshot: Snapshot) -> Iterator[Issue]:
    for state, verb in (("paused", "pauses"), ("reduced", "reduces")):
        if snapshot.guard == state:
            name = f"guard_{state}"
            cause = f"the guard {verb} trading: {snapshot.guard_reason}"
            yield Issue(name, _DEGRADED, cause, alert=ALERTS[name])
    if snapshot.kill_switch:
        cause = f"the kill switch is active: {snapshot.kill_switch_reason}"
        yield Issue("kill_switch_active", _DEGRADED, cause, alert=ALERTS["kill_switch_active"])


def _no_trades(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    if snapshot.trading_expected is False:
        return
    limit = snapshot.no_trade_limit_seconds(limits)
    # A bot that does not say is meant to trade from its start on.
    since = snapshot.trading_expected_since if snapshot.trading_expected else None
    last = max(snapshot.started_at if since is None else since, snapshot.last_trade_at or 0.0)
    if now - last > limit:
        cause = f"no trade for {(now - last) / DAY_SECONDS:.3g} days, the limit is {limit / DAY_SECONDS:.3g}"
        yield Issue("no_trades", _DEGRADED, cause, limit, last + limit, ALERTS["no_trades"])


def _model(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    model, limit = snapshot.model, limits.model_age_seconds
    silent = not snapshot.model_known and now - snapshot.started_at > limits.first_model_seconds
    if model is None and (snapshot.model_known or silent):
        cause = "no valid model is loaded: the bot does not trade" if snapshot.model_known else "the bot names no model"
        yield Issue("model_missing", _UNHEALTHY, cause, alert=ALERTS["model_missing"])
    if snapshot.model_failure:
        cause = f"a model could not be loaded: {snapshot.model_failure}"
        yield Issue("model_not_loaded", _DEGRADED, cause, alert=ALERTS["model_not_loaded"])
    if not snapshot.model_known and now - snapshot.started_at > limits.first_report_seconds:
        yield Issue("model_stale", _DEGRADED, "the model's age is unknown", limit, alert=ALERTS["model_stale"])
    if model is not None and now - model.trained_at > limit:
        age = (now - model.trained_at) / DAY_SECONDS
        cause = f"the model is {age:.3g} days old, the limit is {limit / DAY_SECONDS:.3g}"
        yield Issue("model_stale", _DEGRADED, cause, limit, model.trained_at + limit, ALERTS["model_stale"])
    if snapshot.expectation_breached:
        cause = "the model does worse than its backtest promised"
        yield Issue("model_underperforming", _DEGRADED, cause, alert=ALERTS["model_underperforming"])


def _risk(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    drawdown = snapshot.drawdown_ratio
    if drawdown is None and now - snapshot.started_at > limits.first_report_seconds:
        alert = ALERTS["drawdown_high"]
        yield Issue("drawdown_high", _DEGRADED, "the drawdown is unknown: the bot reports no equity", alert=alert)
    for name, verdict, limit in (
        ("drawdown_high, critical", _UNHEALTHY, limits.drawdown_critical_ratio),
        ("drawdown_high", _DEGRADED, limits.drawdown_warning_ratio),
    ):
        if drawdown is not None and drawdown > limit:
            cause = f"the drawdown is {drawdown:.2%}, the limit is {limit:.2%}"
            yield Issue("drawdown_high", verdict, cause, limit, alert=ALERTS[name])
            break
    daily, limit = snapshot.daily_pnl_ratio, limits.daily_loss_ratio
    if daily is not None and -daily > limit:
        cause = f"{-daily:.2%} lost today, the limit is {limit:.2%}"
        yield Issue("daily_loss_high", _UNHEALTHY, cause, limit, alert=ALERTS["daily_loss_high"])
    leverage, limit = snapshot.leverage_ratio(), limits.leverage_ratio
    if leverage is not None and leverage > limit:
        cause = f"leverage is {leverage:.2f}, the limit is {limit:.2f}"
        yield Issue("leverage_high", _UNHEALTHY, cause, limit, alert=ALERTS["leverage_high"])


def _plumbing(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    """The exporter's own: what hides the rest where it fails."""
    limit = snapshot.snapshot_limit_seconds(limits)
    # What lies before the start, or before the market opened again, is not held against the bot.
    reported = max(snapshot.equity_at or 0.0, snapshot.trading_expected_since or 0.0, snapshot.started_at)
    if limit is not None and now - reported > limit:
        cause = f"no equity was reported for {now - reported:.0f} s, the limit is {limit:.0f} s"
        yield Issue("snapshot_stale", _DEGRADED, cause, limit, reported + limit, ALERTS["snapshot_stale"])
    limit, written = snapshot.status_limit_seconds, snapshot.status_written_at or snapshot.started_at
    if limit is not None and now - written > limit:
        cause = f"the status file was not written for {now - written:.0f} s, the limit is {limit:.0f} s"
        yield Issue("status_file_stale", _DEGRADED, cause, limit, written + limit, ALERTS["status_file_stale"])
    for name, trouble in dict(snapshot.troubles).items():
        if now - trouble.at < limits.trouble_seconds:
            yield Issue(name, _DEGRADED, trouble.text, since=trouble.at, alert=ALERTS[name])
    wrong = {
        cause: call for cause, call in dict(snapshot.wrong_calls).items() if now - call.at < limits.trouble_seconds
    }
    if wrong:
        said = "; ".join(f"{cause}: {call.text}" for cause, call in wrong.items())
        yield Issue("instrumentation_errors", _DEGRADED, f"the exporter was called wrongly: {said}")
