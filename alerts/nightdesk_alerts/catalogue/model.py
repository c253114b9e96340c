"""The model that the bot trades with: whether there is one, which, how old, and whether it keeps its promise."""

from __future__ import annotations

from collections.abc import Iterator

from nightdesk_core.age import age_seconds, is_ahead
from nightdesk_core.units import DAY_SECONDS

from nightdesk_alerts.catalogue.declaration import AlertCondition, AlertDeclaration, Due, Subject, Symptom, inhibited_by
from nightdesk_alerts.catalogue.exchange import EXCHANGE_DISCONNECTED
from nightdesk_alerts.catalogue.late import due
from nightdesk_alerts.catalogue.liveness import LOOP_STALLED
from nightdesk_alerts.catalogue.view import Situation


def _is_known(seen: Situation) -> bool:
    return seen.bot.model_known or "model" in seen.bot.without


def _missing(seen: Situation) -> Iterator[Symptom | Due]:
    bot = seen.bot
    if "model" in bot.without:
        return
    if bot.model_known and bot.model is None:
        yield Symptom("critical", "no valid model is loaded: the bot does not trade")
    elif bot.model is None and age_seconds(bot.started_at, now=seen.now) > seen.limits.first_model_seconds:
        yield Symptom("critical", "the bot names no model")
    elif bot.model is None:
        yield from due(seen, bot.started_at + seen.limits.first_model_seconds)


MODEL_MISSING = AlertDeclaration(
    name="TradebotModelMissing",
    summaries={"critical": "The bot runs without a model."},
    when="For 1m no model has been loaded, or two minutes after its start the bot has not said whether one is. A bot"
    " that says that it has none is silent.",
    condition=AlertCondition(issue="model_missing", find=_missing, is_known=_is_known, unhealthy=("critical",)),
)


def _not_loaded(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.model_failure:
        yield Symptom("critical", f"a model could not be loaded: {seen.bot.model_failure}")


# What stands still, or has no exchange, takes over no new champion either.
MODEL_NOT_LOADED = AlertDeclaration(
    name="TradebotModelNotLoaded",
    summaries={"critical": "The bot trades with another model than the champion."},
    when="Pointer and bot have named different versions for 30m while the market is open, or a load failed within the"
    " last 30m; not where no model is loaded at all.",
    condition=AlertCondition(issue="model_not_loaded", find=_not_loaded, is_known=_is_known),
    muted_by=inhibited_by(LOOP_STALLED, EXCHANGE_DISCONNECTED),
)


def _stale(seen: Situation) -> Iterator[Symptom | Due]:
    bot, limit = seen.bot, seen.limits.model_age_seconds
    if "model" in bot.without:
        return
    if not bot.model_known:
        yield from due(seen, bot.started_at + seen.limits.first_report_seconds)
    if not bot.model_known and age_seconds(bot.started_at, now=seen.now) > seen.limits.first_report_seconds:
        yield Symptom("warning", "the model's age is unknown", limit)
    if bot.model is not None:
        yield from due(seen, bot.model.trained_at + limit)
    if bot.model is not None and is_ahead(bot.model.trained_at, now=seen.now):
        yield Symptom("warning", "the model's age is unknown: it was trained in the future", limit)
    elif bot.model is not None and seen.now - bot.model.trained_at > limit:
        age = (seen.now - bot.model.trained_at) / DAY_SECONDS
        cause = f"the model is {age:.3g} days old, the limit is {limit / DAY_SECONDS:.3g}"
        yield Symptom("warning", cause, limit, bot.model.trained_at + limit)


MODEL_STALE = AlertDeclaration(
    name="TradebotModelStale",
    summaries={"warning": "The model is older than its limit, or of unknown age."},
    when="The model was trained longer ago than the bot's own limit (90 days), or ten minutes after its start the bot"
    " has not said when.",
    condition=AlertCondition(issue="model_stale", find=_stale, is_known=_is_known),
)


def _underperforming(seen: Situation) -> Iterator[Symptom]:
    if seen.bot.expectation_breached:
        yield Symptom("warning", "the model does worse than its backtest promised")


MODEL_UNDERPERFORMING = AlertDeclaration(
    name="TradebotModelUnderperforming",
    summaries={"warning": "The model does worse than its backtest promised."},
    when="The bot says that its evidence for it is strong enough (an e-process that has crossed).",
    condition=AlertCondition(
        issue="model_underperforming",
        find=_underperforming,
        is_known=lambda seen: seen.bot.expectation_breached is not None,
    ),
)

MODEL = Subject("The model", "model", (MODEL_MISSING, MODEL_NOT_LOADED, MODEL_STALE, MODEL_UNDERPERFORMING))
