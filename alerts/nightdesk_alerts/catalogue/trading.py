"""What holds the bot back, and whether it trades: guard, kill switch, trades, the market's regime."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nightdesk_core.age import age_seconds, newest
from nightdesk_core.units import DAY_SECONDS

from nightdesk_alerts.catalogue.declaration import (
    HOUR_SECONDS,
    AlertCondition,
    AlertDeclaration,
    Due,
    Preference,
    Route,
    Subject,
    Symptom,
    inhibited_by,
)
from nightdesk_alerts.catalogue.late import due
from nightdesk_alerts.catalogue.view import EPOCH, BotView, LimitsView, Situation

_LN_100 = math.log(100)


def _paused(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.guard == "paused":
        yield Symptom("critical", f"the guard pauses trading: {seen.bot.guard_reason}")


GUARD_PAUSED = AlertDeclaration(
    name="TradebotGuardPaused",
    summaries={"critical": "The performance guard has paused trading."},
    when="The guard is paused, or was within the last 10m.",
    condition=AlertCondition(issue="guard_paused", find=_paused, is_known=lambda seen: seen.bot.guard is not None),
    counter=("guard_transitions", "paused"),
    never_muted=True,
    route=Route.INSTANT,
    preference=Preference.PAUSE,
)


def _reduced(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.guard == "reduced":
        yield Symptom("warning", f"the guard reduces trading: {seen.bot.guard_reason}")


GUARD_REDUCED = AlertDeclaration(
    name="TradebotGuardReduced",
    summaries={"warning": "The performance guard has reduced trading."},
    when="The guard is reduced, or was within the last 10m; on its way back from paused it passes through reduced.",
    condition=AlertCondition(issue="guard_reduced", find=_reduced, is_known=lambda seen: seen.bot.guard is not None),
    counter=("guard_transitions", "reduced"),
    route=Route.INSTANT,
    preference=Preference.PAUSE,
)


def _killed(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.kill_switch:
        yield Symptom("critical", f"the kill switch is active: {seen.bot.kill_switch_reason}")


KILL_SWITCH_ACTIVE = AlertDeclaration(
    name="TradebotKillSwitchActive",
    summaries={"critical": "The kill switch is on."},
    when="The kill switch is on, or was within the last 10m.",
    condition=AlertCondition(
        issue="kill_switch_active", find=_killed, is_known=lambda seen: seen.bot.kill_switch is not None
    ),
    counter=("kill_switch_activations",),
    never_muted=True,
    route=Route.INSTANT,
    preference=Preference.KILL_SWITCH,
    lifetime_seconds=24 * HOUR_SECONDS,
)


def no_trade_limit_seconds(bot: BotView, limits: LimitsView) -> float:
    """Return how long no trade may be closed before it is worth a look.

    Where trades are so rare that a quiet spell longer than `no_trade_seconds` has a probability above 1%, it is the
    spell whose probability is 1%: ln(100) mean intervals, as trades come by a Poisson process.
    """
    return max(limits.no_trade_seconds, _LN_100 * (bot.trade_interval_seconds or 0.0))


def _no_trades(seen: Situation) -> Iterator[Symptom | Due]:
    bot, now = seen.bot, seen.now
    if bot.trading_expected is False:
        return
    limit = no_trade_limit_seconds(bot, seen.limits)
    # A bot that does not say is meant to trade from its start on.
    since = bot.trading_expected_since if bot.trading_expected else None
    last = newest([bot.started_at if since is None else since, bot.last_trade_at or EPOCH], now=now)
    yield from due(seen, last + limit)
    if (age := age_seconds(last, now=now)) > limit:
        cause = f"no trade for {age / DAY_SECONDS:.3g} days, the limit is {limit / DAY_SECONDS:.3g}"
        yield Symptom("warning", cause, limit, last + limit)


# A bot that may not trade does not.
NO_TRADES = AlertDeclaration(
    name="TradebotNoTrades",
    summaries={"warning": "The bot is meant to trade and does not."},
    when="No trade was closed for longer than the bot's own limit (7 days, longer where its model trades rarely),"
    " though its market is open. A restart ends no wait.",
    condition=AlertCondition(
        issue="no_trades", find=_no_trades, is_known=lambda seen: seen.bot.trading_expected is not None
    ),
    muted_by=inhibited_by(KILL_SWITCH_ACTIVE, GUARD_PAUSED),
)

REGIME_HIGH_VOLATILITY = AlertDeclaration(
    name="TradebotRegimeHighVolatility",
    summaries={"info": "The market is far more volatile than usual."},
    when="For 1h the bot has taken a symbol's market for highly volatile.",
    labels=("bot", "symbol"),
)

TRADING = Subject(
    "Guard, kill switch and trading",
    "trading",
    (GUARD_PAUSED, GUARD_REDUCED, KILL_SWITCH_ACTIVE, NO_TRADES, REGIME_HIGH_VOLATILITY),
)
