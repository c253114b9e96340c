"""Settings of the retrain job."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.settings import SettingsModel
from pydantic import Field


class ModelRotationSettings(SettingsModel):
    """When a model is retrained and what a candidate must show: the requirements document's section, key for key."""

    enabled: bool = Field(True, description="Where false, the job retrains and reports but never rotates.")
    retrain_frequency_days: float = Field(30, gt=0, description="A retrain is due this many days after the last one.")
    max_model_age_days: float = Field(
        365,
        gt=0,
        description="An earlier champion that was trained more days ago than this never comes back, and against a "
        "champion that was, a candidate needs less confidence.",
    )
    min_sharpe_ratio: float = Field(1.0, description="Annualised from daily returns, 365 days.")
    min_profit_factor: float = Field(1.2, ge=0, description="What won trades brought over what lost trades cost.")
    max_drawdown_threshold: float = Field(
        0.20, gt=0, le=1, description="Largest fall of equity from its peak on the hold-out, as a share of the peak."
    )
    min_trades: int = Field(50, ge=1, description="Trades on the hold-out, or there is too little to judge by.")
    require_outperformance: bool = Field(
        True, description="Whether a candidate must also not fall behind the champion on days that neither has seen."
    )


class RetrainSettings(SettingsModel):
    """How the job collects, evaluates and compares."""

    pipeline: str = Field(
        "nightdesk_trendbot.pipeline:TrendPipeline",
        pattern=r"^[\w.]+:\w+$",
        description="The strategy, as module:Class.",
    )
    history_days: float = Field(730, gt=0, description="How much history the job asks the exchange for, in days.")
    min_history_days: float = Field(400, gt=0, description="With less history, in days, the job stops.")
    holdout_days: float = Field(
        180, gt=0, description="The last days of the history: the model is judged on them and never trained on them."
    )
    min_common_days: float = Field(120, gt=0, description="With fewer days to compare: insufficient evidence.")
    outperformance_lower_bound: float = Field(
        -0.5, description="The one-sided lower bound of the difference in Sharpe ratio must lie above this."
    )
    outperformance_confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Of that bound: a candidate that lies at it passes in the rest of the cases."
    )
    outperformance_confidence_past_age: float = Field(
        0.80, gt=0.5, lt=1, description="The same against a champion that is older than `max_model_age_days`."
    )
    min_deflated_sharpe: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="The probability that the candidate's Sharpe ratio is truly above 0, though it may be the best of "
        "all that were tried. Reported in any case, and a criterion where this is set.",
    )
    workers: int = Field(
        0, ge=0, description="How many threads of this machine train and label; 0 for as many as it has cores."
    )
    cluster: str = Field(
        "",
        pattern=r"^(|(tcp|tls|ucx|inproc|ws|wss)://.+)$",
        description="Address of a Dask scheduler, such as tcp://10.0.0.5:8786, whose workers train in their place.",
    )
    keep_models: int = Field(
        20, ge=2, description="At least so many of the newest model bundles are kept, whatever their age."
    )
    keep_models_days: float = Field(365, ge=0, description="Bundles younger than this, in days, are all kept.")
    textfile_dir: Path = Field(
        Path("metrics"),
        description="Where the job's metrics lie as a file while the Pushgateway is away: for the textfile collector of"
        " Prometheus' node exporter.",
    )
    check_interval_hours: float = Field(
        0.25, gt=0, description="How often the schedule looks whether a retrain is due or asked for, in hours."
    )

    def confidence(self, *, past_age: bool) -> float:
        """Return the confidence of the lower bound against a champion, past its full age limit or not."""
        return self.outperformance_confidence_past_age if past_age else self.outperformance_confidence
