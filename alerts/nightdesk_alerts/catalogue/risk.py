"""The account: drawdown, the loss of the day, leverage."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_core.age import age_seconds

from nightdesk_alerts.catalogue.declaration import AlertCondition, AlertDeclaration, Due, Severity, Subject, Symptom
from nightdesk_alerts.catalogue.late import due
from nightdesk_alerts.catalogue.view import LimitsView, Situation


def drawdown_severity(drawdown_ratio: float, limits: LimitsView) -> Severity | None:
    """Return how grave a drawdown is; `None` where it is within its limits."""
    if drawdown_ratio > limits.drawdown_critical_ratio:
        return "critical"
    return "warning" if drawdown_ratio > limits.drawdown_warning_ratio else None


def daily_loss_severity(daily_pnl_ratio: float, limits: LimitsView) -> Severity | None:
    """Return how grave the change of a day is; `None` where it is within its limit."""
    return "critical" if -daily_pnl_ratio > limits.daily_loss_ratio else None


def _drawdown_high(seen: Situation) -> Iterator[Symptom | Due]:
    drawdown, limits = seen.bot.drawdown_ratio, seen.limits
    if drawdown is None:
        yield from due(seen, seen.bot.started_at + limits.first_report_seconds)
        if age_seconds(seen.bot.started_at, now=seen.now) > limits.first_report_seconds:
            yield Symptom("warning", "the drawdown is unknown: the bot reports no equity")
        return
    severity = drawdown_severity(drawdown, limits)
    if severity is not None:
        limit = limits.drawdown_critical_ratio if severity == "critical" else limits.drawdown_warning_ratio
        yield Symptom(severity, f"the drawdown is {drawdown:.2%}, the limit is {limit:.2%}", limit)


DRAWDOWN_HIGH = AlertDeclaration(
    name="TradebotDrawdownHigh",
    summaries={
        "critical": "The drawdown is above its critical limit.",
        "warning": "The drawdown is above its warning limit, or unknown.",
    },
    when="The equity lies further below its peak than the bot's own limits (5%, 10%), or ten minutes after its start"
    " the bot has reported none.",
    condition=AlertCondition(
        issue="drawdown_high",
        find=_drawdown_high,
        is_known=lambda seen: seen.bot.drawdown_ratio is not None,
        unhealthy=("critical",),
        of_the_account=True,
    ),
)


def _daily_loss_high(seen: Situation) -> Iterator[Symptom]:
    daily, limit = seen.bot.daily_pnl_ratio, seen.limits.daily_loss_ratio
    severity = None if daily is None else daily_loss_severity(daily, seen.limits)
    if daily is not None and severity is not None:
        yield Symptom(severity, f"{-daily:.2%} lost today, the limit is {limit:.2%}", limit)


DAILY_LOSS_HIGH = AlertDeclaration(
    name="TradebotDailyLossHigh",
    summaries={"critical": "The loss of the day is above its limit."},
    when="More was lost since midnight UTC of market time than the bot's own limit (5% of the equity then).",
    condition=AlertCondition(
        issue="daily_loss_high",
        find=_daily_loss_high,
        is_known=lambda seen: seen.bot.daily_pnl_ratio is not None,
        unhealthy=("critical",),
        of_the_account=True,
    ),
)


def _leverage_high(seen: Situation) -> Iterator[Symptom]:
    leverage, limit = seen.bot.leverage_ratio(), seen.limits.leverage_ratio
    if leverage is not None and leverage > limit:
        yield Symptom("critical", f"leverage is {leverage:.2f}, the limit is {limit:.2f}", limit)


LEVERAGE_HIGH = AlertDeclaration(
    name="TradebotLeverageHigh",
    summaries={"critical": "The leverage is above its limit."},
    when="The notional of all positions over equity is above the bot's own limit (2.5).",
    condition=AlertCondition(
        issue="leverage_high",
        find=_leverage_high,
        is_known=lambda seen: bool(seen.bot.positions),
        unhealthy=("critical",),
        of_the_account=True,
    ),
)

RISK = Subject("Risk", "trading", (DRAWDOWN_HIGH, DAILY_LOSS_HIGH, LEVERAGE_HIGH))
