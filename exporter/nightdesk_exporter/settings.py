"""Settings of the exporter: the limits of health, and logs."""

from __future__ import annotations

from typing import Literal

from nightdesk_core.settings import SettingsModel
from nightdesk_core.units import DAY_SECONDS
from pydantic import Field

from nightdesk_exporter.snapshot import Limits


class LimitSettings(SettingsModel):
    """What is too old, too much or too little. Exported as metrics, so that each bot has its own."""

    heartbeat_seconds: float = Field(
        120, gt=0, description="A loop that is silent for longer, in seconds, has stalled."
    )
    exchange_contact_seconds: float = Field(
        300, gt=0, description="How long the exchange may be silent, in seconds: «API connection lost > 5 minutes»."
    )
    model_age_days: float = Field(90, gt=0, description="A model that was trained longer ago, in days, is too old.")
    no_trade_days: float = Field(7, gt=0, description="Days without a trade, where trades are expected.")
    drawdown_warning_ratio: float = Field(
        0.05, gt=0, lt=1, description="Fall of equity from its peak that is worth a warning, as a share of the peak."
    )
    drawdown_critical_ratio: float = Field(
        0.10, gt=0, lt=1, description="Fall of equity from its peak that is critical, as a share of the peak."
    )
    daily_loss_ratio: float = Field(
        0.05, gt=0, lt=1, description="Loss since midnight UTC of market time, as a share of the equity then."
    )
    leverage_ratio: float = Field(2.5, gt=0, description="Notional of the open positions over equity.")

    def in_force(self) -> Limits:
        """Return the limits as the exporter takes them, in seconds where these are in days."""
        return Limits(
            **{
                name.replace("_days", "_seconds"): value * DAY_SECONDS if name.endswith("_days") else value
                for name, value in self
            }
        )


class LogSettings(SettingsModel):
    """What is logged, and how much of it is kept."""

    level: Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="The least level that is logged."
    )
    rotation_megabytes: float = Field(10, gt=0, description="A log file that reaches this size, in MB, is set aside.")
    keep_files: int = Field(10, ge=1, description="How many of each program's log files that were set aside are kept.")
