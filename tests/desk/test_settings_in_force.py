"""What the settings are made into."""

from __future__ import annotations

import pytest
from nightdesk.bot.parts import tuning
from nightdesk.cli.progress import show_progress
from nightdesk.job import job_parts
from nightdesk.settings import SettingsError

from tests.desk.conftest import Load


def test_a_retrain_s_alerts_outlast_an_alertmanager_that_hangs_and_then_a_channel(settings_with: Load) -> None:
    with show_progress("retrain") as progress, job_parts(settings_with(), progress) as parts:
        assert parts.alerts.options.close_seconds / 2 > parts.alerts.options.timeout_seconds


def test_the_first_candle_may_take_as_long_as_the_timeframe_says(settings_with: Load) -> None:
    settings = settings_with("sandbox.enabled=false", "trendbot.timeframe=4h")
    assert tuning(settings).limits.first_candle_seconds == 28_860


def test_the_sandbox_has_no_candles_shorter_than_an_hour(settings_with: Load) -> None:
    assert settings_with("sandbox.enabled=false", "trendbot.timeframe=5m").trendbot.timeframe == "5m"
    with pytest.raises(SettingsError, match="the sandbox replays candles of an hour, and has none of 5m"):
        settings_with("sandbox.enabled=true", "trendbot.timeframe=5m")
