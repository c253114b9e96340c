"""The job that retrains, and what became of its candidates. The bot's own health check knows nothing of it."""

from __future__ import annotations

from nightdesk_alerts.catalogue.declaration import AlertDeclaration, Preference, Route, Subject

RETRAIN_MISSED = AlertDeclaration(
    name="TradebotRetrainMissed",
    summaries={"warning": "No retraining has succeeded for two intervals."},
    when="The last retraining that reached a decision ended longer ago than two intervals of the schedule.",
)

RETRAIN_NEVER_SUCCEEDED = AlertDeclaration(
    name="TradebotRetrainNeverSucceeded",
    summaries={"warning": "No retraining has ever succeeded."},
    when="For 1d no retraining has reported a decision, while the Pushgateway answers.",
)

RETRAIN_SCHEDULER_MISSING = AlertDeclaration(
    name="TradebotRetrainSchedulerMissing",
    summaries={"warning": "Nobody looks whether a retraining is due."},
    when="The schedule last looked more than two days ago, and no retraining is under way.",
)

RETRAIN_HUNG = AlertDeclaration(
    name="TradebotRetrainHung",
    summaries={"warning": "A retraining does not end."},
    when="A retraining began more than six hours ago and has not ended; its very first run, too.",
)

RETRAIN_FAILING = AlertDeclaration(
    name="TradebotRetrainFailing",
    summaries={"warning": "Retrainings fail one after the other."},
    when="At least two have failed since the last decision.",
)

RETRAIN_PUSH_REJECTED = AlertDeclaration(
    name="TradebotRetrainPushRejected",
    summaries={"warning": "The Pushgateway refuses the retrain job's metrics."},
    when="For 5m the last push has been a refused one.",
)

MODEL_PROMOTED = AlertDeclaration(
    name="TradebotModelPromoted",
    summaries={"info": "A new model was promoted."},
    when="A model was promoted within the last 15m.",
    never_muted=True,
    preference=Preference.MODEL_ROTATION,
)

MODEL_KEPT = AlertDeclaration(
    name="TradebotModelKept",
    summaries={"info": "A retraining kept the model in place."},
    when="A retraining decided against its candidate within the last 15m.",
    never_muted=True,
    preference=Preference.MODEL_ROTATION,
)

MODEL_ROLLED_BACK = AlertDeclaration(
    name="TradebotModelRolledBack",
    summaries={"warning": "A model was taken back."},
    when="A champion was taken back within the last 15m.",
    never_muted=True,
    route=Route.EVENT,
    preference=Preference.MODEL_ROTATION,
)

RETRAIN = Subject(
    "Retraining and promotion",
    "retrain",
    (
        RETRAIN_MISSED,
        RETRAIN_NEVER_SUCCEEDED,
        RETRAIN_SCHEDULER_MISSING,
        RETRAIN_HUNG,
        RETRAIN_FAILING,
        RETRAIN_PUSH_REJECTED,
        MODEL_PROMOTED,
        MODEL_KEPT,
        MODEL_ROLLED_BACK,
    ),
)
