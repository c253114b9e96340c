"""What a run of the job is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightdesk_alerts import AlertSender
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import TimeScale, WallClock, system_clock
from nightdesk_core.models.pipeline import Backtest, Pipeline, Progress
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import StatusFile

from nightdesk_retrain.publish import Login
from nightdesk_retrain.reproduce import in_fresh_process
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings


@dataclass(frozen=True)
class JobParts:
    """What a run is made of. `gateway` is the Pushgateway's host:port, empty for none; `gateway_login` its user."""

    bot: str
    rotation: ModelRotationSettings
    retrain: RetrainSettings
    pipeline: Pipeline[Any, Any]
    document: Mapping[str, Any]
    """The settings that the pipeline was made from: a fresh process makes one of its own."""
    registry: ModelRegistry
    requests: RetrainRequests
    audit: AuditLog
    status_file: StatusFile
    state_dir: Path
    gateway: str
    textfile_dir: Path
    """Where the metrics go as a file while the gateway is away."""
    alerts: AlertSender
    gateway_login: Login | None = field(default=None, repr=False)
    scale: TimeScale = field(default_factory=TimeScale)
    clock: WallClock = system_clock
    progress: Progress = field(default=lambda _stage, _share: None)
    redact: Callable[[str], str] = str
    """Hides secrets in what is recorded of a failure."""
    settings_record: Mapping[str, Any] = field(default_factory=dict)
    """What of the settings goes into the bundle; no secret."""
    elsewhere: Callable[..., Any] = in_fresh_process
    """Calls a function with arguments where this process' memory is not."""
    annotate: Callable[[Backtest], Mapping[str, bytes]] = field(default=lambda _holdout: {})
    """Returns further files for the bundle, made from the candidate's hold-out."""

    @property
    def interval_seconds(self) -> float:
        """Wall time between two scheduled retrains."""
        return self.scale.limit(self.rotation.retrain_frequency_days * DAY_SECONDS)

    @property
    def oldest_seconds(self) -> float:
        """Wall time since its training after which a model is past its full age limit."""
        return self.scale.limit(self.rotation.max_model_age_days * DAY_SECONDS)
