"""What one run of the job came to, as audit, status file and metrics report it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nightdesk_core.models.champion import Standing
from nightdesk_core.models.pipeline import Fitted, WindowInfo
from nightdesk_core.models.requests import Cause

from nightdesk_retrain.judgement.deflated import DeflatedSharpe
from nightdesk_retrain.judgement.gate import Comparison, Ruling
from nightdesk_retrain.judgement.metrics import Performance

Trigger = Literal["schedule"] | Cause
"""Why a run began: it was due, or the cause of the request that waited longest."""
Decision = Literal["promoted", "kept", "insufficient_evidence", "dry_run"]


@dataclass(frozen=True)
class RetrainOutcome:
    """A run that ended with a verdict. `decision` is what was done, `ruling` what the gate said."""

    decision: Decision
    reason: str
    trigger: Trigger
    version: str
    standing: Standing | None
    """Of the candidate, where it was promoted."""
    ruling: Ruling
    candidate: Performance
    deflated: DeflatedSharpe
    champion: Performance | None
    comparison: Comparison | None
    window: WindowInfo
    fitted: Fitted
    stage_seconds: Mapping[str, float]
    instead_of: str | None
    """The champion that the candidate was to replace; `None` for none."""
    requests: tuple[str, ...] = ()
    """Keys of what asked for a retrain before this run began: its verdict answers them."""

    @property
    def outperformance_probability(self) -> float | None:
        """That the candidate's true Sharpe ratio is above the champion's; `None` where the days do not tell."""
        sharpe = None if self.comparison is None else self.comparison.sharpe
        return None if sharpe is None else sharpe.probability

    def to_json(self) -> dict[str, Any]:
        """Return what the audit log and the status file record."""
        record: dict[str, Any] = {
            "decision": self.decision,
            "reason": self.reason,
            "trigger": self.trigger,
            "requests": list(self.requests),
            "version": self.version,
            "standing": self.standing,
            "instead_of": self.instead_of,
            "verdict": self.ruling.verdict.value,
            "criteria": [asdict(criterion) for criterion in self.ruling.criteria],
            "candidate": asdict(self.candidate),
            "champion": None if self.champion is None else asdict(self.champion),
            "comparison": None if self.comparison is None else asdict(self.comparison),
            "outperformance_probability": self.outperformance_probability,
            "deflated_sharpe": {**asdict(self.deflated), "effective_trials": self.deflated.effective_trials},
            # The report is long: the bundle holds it.
            "data": {name: value for name, value in asdict(self.window).items() if name != "report"},
            "training": {
                "rows": self.fitted.training_rows,
                "start": self.fitted.train_start,
                "end": self.fitted.train_end,
                "last_label_end": self.fitted.last_label_end,
                **self.fitted.summary,
            },
            "stage_seconds": {name: round(seconds, 3) for name, seconds in self.stage_seconds.items()},
        }
        return {key: _finite(value) for key, value in record.items()}


def _finite(value: Any) -> Any:
    """Return `value` with what JSON cannot hold, an infinite bound or NaN, as null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
