"""The cron job: collect, train, evaluate, gate, rotate, publish. It knows a strategy only by the pipeline protocol.

Each name is loaded when it is first asked for: whoever only looks at the `Schedule` loads no numbers.

A run: `JobParts` is what it is made of, `RetrainOutcome` what came of it, with its `DeflatedSharpe`.
Before it: `Schedule` says whether one is due, and `load_pipeline` loads the strategy that the settings name.
Before a bundle is loaded: `BundleTrial` does so in a process of its own.
A verdict afterwards: `explain_verdict`, `replay_verdict`, and `read_holdout` for what it was judged on.
What the simulation of the gate's power goes by: `measured_correlation`, `measured_pace`, `luck_of_trials`.
A bot that is no more: `retire` has the Pushgateway forget it.

Public submodules:
    job: one run of the job
    judgement.power: how often the gate promotes, by simulation
    settings: what `retrain` and `operations.model_rotation` may say; it loads pydantic
    workers: the workers of a Dask cluster, for a strategy that trains on them
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_retrain.judgement.deflated import DeflatedSharpe
    from nightdesk_retrain.judgement.evidence import read_holdout
    from nightdesk_retrain.judgement.explain import explain_verdict
    from nightdesk_retrain.judgement.measured import luck_of_trials, measured_correlation, measured_pace
    from nightdesk_retrain.judgement.replay import replay_verdict
    from nightdesk_retrain.outcome import RetrainOutcome
    from nightdesk_retrain.parts import JobParts
    from nightdesk_retrain.publish import retire
    from nightdesk_retrain.schedule import Schedule
    from nightdesk_retrain.strategy import load_pipeline
    from nightdesk_retrain.trial import BundleTrial
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_retrain.judgement.deflated": ["DeflatedSharpe"],
            "nightdesk_retrain.judgement.evidence": ["read_holdout"],
            "nightdesk_retrain.judgement.explain": ["explain_verdict"],
            "nightdesk_retrain.judgement.measured": ["luck_of_trials", "measured_correlation", "measured_pace"],
            "nightdesk_retrain.outcome": ["RetrainOutcome"],
            "nightdesk_retrain.parts": ["JobParts"],
            "nightdesk_retrain.publish": ["retire"],
            "nightdesk_retrain.judgement.replay": ["replay_verdict"],
            "nightdesk_retrain.schedule": ["Schedule"],
            "nightdesk_retrain.strategy": ["load_pipeline"],
            "nightdesk_retrain.trial": ["BundleTrial"],
        },
    )


__all__ = [
    "BundleTrial",
    "DeflatedSharpe",
    "JobParts",
    "RetrainOutcome",
    "Schedule",
    "explain_verdict",
    "load_pipeline",
    "luck_of_trials",
    "measured_correlation",
    "measured_pace",
    "read_holdout",
    "replay_verdict",
    "retire",
]
