"""Settings of the retrain job."""

from __future__ import annotations

from nightdesk_core.settings import SettingsModel
from pydantic import Field


class ModelRotationSettings(SettingsModel):
    """When a model is retrained and what a candidate must show: the requirements document's section, key for key."""

    enabled: bool = Field(True, description="Where false, the job retrains and reports but never rotates.")
    retrain_frequency_days: float = Field(30, gt=0)
    min_sharpe_ratio: float = Field(1.0, description="Annualised from daily returns, 365 days.")
    min_profit_factor: float = Field(1.2, ge=0)
    max_drawdown_threshold: float = Field(0.20, gt=0, le=1)
    min_trades: int = Field(50, ge=1)
    require_outperformance: bool = True


class RetrainSettings(SettingsModel):
    """How the job collects, evaluates and compares."""

    pipeline: str = Field(
        "nightdesk_trendbot.pipeline:TrendPipeline",
        pattern=r"^[\w.]+:\w+$",
        description="The strategy, as module:Class.",
    )
    history_days: float = Field(730, gt=0, description="How much history the job asks the exchange for.")
    min_history_days: float = Field(400, gt=0, description="With less the job stops.")
    holdout_days: float = Field(180, gt=0)
    min_common_days: float = Field(120, gt=0, description="With fewer days to compare: insufficient evidence.")
    outperformance_lower_bound: float = Field(-0.5, description="The one-sided 5% lower bound must lie above this.")
    check_interval_hours: float = Field(24, gt=0, description="How often the schedule looks whether a retrain is due.")
