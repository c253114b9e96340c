"""The health check: a pure function of what is known, the limits and the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nightdesk_exporter.snapshot import Limits, Snapshot


class Verdict(StrEnum):
    """UNHEALTHY: the bot does not do its work. DEGRADED: it does, but something needs a look."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Issue:
    """One finding: `name` is the label of `health_issues`, `cause` says what was found against which limit."""

    name: str
    verdict: Verdict
    cause: str


@dataclass(frozen=True)
class Health:
    """The verdict and everything that led to it."""

    verdict: Verdict
    issues: tuple[Issue, ...]


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
    yield from _candles(snapshot, limits, now)
    yield from _trading(snapshot)
    yield from _model(snapshot, limits, now)
    yield from _risk(snapshot, limits)
    yield from _instrumentation(snapshot)


def _late(name: str, what: str, since: float, limit: float, now: float) -> Iterator[Issue]:
    if now - since > limit:
        yield Issue(name, Verdict.UNHEALTHY, f"{what} for {now - since:.0f} s, the limit is {limit:.0f} s")


def _liveness(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    beat = snapshot.heartbeat_at or snapshot.started_at
    yield from _late("loop_stalled", "no turn of the loop", beat, limits.heartbeat_seconds, now)
    contact = max(dict(snapshot.contact_at).values(), default=snapshot.started_at)
    yield from _late(
        "exchange_disconnected", "no contact with the exchange", contact, limits.exchange_contact_seconds, now
    )


def _candles(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    if snapshot.trading_expected is False:
        return
    intervals: dict[str, float] = {}
    for (symbol, timeframe), expected in dict(snapshot.candles_expected).items():
        intervals[symbol] = max(intervals.get(symbol, 0.0), expected.interval_seconds)
        seen = snapshot.candles.get((symbol, timeframe))
        # One that never came is late, too: from when it was expected, or from when the market opened again.
        since = max(expected.since if seen is None else seen.received_at, snapshot.trading_expected_since or 0.0)
        limit = 2 * expected.interval_seconds + limits.candle_grace_seconds
        yield from _late("candle_stale", f"no candle of {symbol} {timeframe}", since, limit, now)
    for symbol, decided_at in dict(snapshot.decided_at).items():
        limit = 2 * intervals.get(symbol, 0.0) + limits.candle_grace_seconds
        yield from _late("no_decision", f"no decision on {symbol}", decided_at, limit, now)


def _trading(snapshot: Snapshot) -> Iterator[Issue]:
    if snapshot.guard == "paused":
        yield Issue("guard_paused", Verdict.DEGRADED, f"the guard pauses trading: {snapshot.guard_reason}")
    if snapshot.guard == "reduced":
        yield Issue("guard_reduced", Verdict.DEGRADED, f"the guard reduces trading: {snapshot.guard_reason}")
    if snapshot.kill_switch:
        yield Issue("kill_switch_active", Verdict.DEGRADED, f"the kill switch is active: {snapshot.kill_switch_reason}")


def _model(snapshot: Snapshot, limits: Limits, now: float) -> Iterator[Issue]:
    if snapshot.model_known and snapshot.model is None:
        yield Issue("model_missing", Verdict.UNHEALTHY, "no valid model is loaded: the bot does not trade")
    if snapshot.model is not None and now - snapshot.model.trained_at > limits.model_age_seconds:
        age, limit = (now - snapshot.model.trained_at) / 86_400, limits.model_age_seconds / 86_400
        yield Issue("model_stale", Verdict.DEGRADED, f"the model is {age:.3g} days old, the limit is {limit:.3g}")


def _risk(snapshot: Snapshot, limits: Limits) -> Iterator[Issue]:
    drawdown = snapshot.drawdown_ratio
    if drawdown is not None and drawdown > limits.drawdown_warning_ratio:
        critical = drawdown > limits.drawdown_critical_ratio
        limit = limits.drawdown_critical_ratio if critical else limits.drawdown_warning_ratio
        verdict = Verdict.UNHEALTHY if critical else Verdict.DEGRADED
        yield Issue("drawdown_high", verdict, f"the drawdown is {drawdown:.2%}, the limit is {limit:.2%}")
    daily = snapshot.daily_pnl_ratio
    if daily is not None and -daily > limits.daily_loss_ratio:
        yield Issue(
            "daily_loss_high", Verdict.UNHEALTHY, f"{-daily:.2%} lost today, the limit is {limits.daily_loss_ratio:.2%}"
        )
    leverage = snapshot.leverage_ratio()
    if leverage is not None and leverage > limits.leverage_ratio:
        yield Issue(
            "leverage_high", Verdict.UNHEALTHY, f"leverage is {leverage:.2f}, the limit is {limits.leverage_ratio:.2f}"
        )


def _instrumentation(snapshot: Snapshot) -> Iterator[Issue]:
    wrong = dict(snapshot.wrong_calls)
    if wrong:
        said = "; ".join(f"{cause}: {problem}" for cause, problem in wrong.items())
        yield Issue("instrumentation_errors", Verdict.DEGRADED, f"the exporter was called wrongly: {said}")
