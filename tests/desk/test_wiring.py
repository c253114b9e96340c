"""What the settings are made into."""

from __future__ import annotations

from nightdesk.progress import show_progress
from nightdesk.wiring import job_parts

from tests.desk.conftest import Load


def test_a_retrain_s_alerts_outlast_an_alertmanager_that_hangs_and_then_a_channel(settings_with: Load) -> None:
    with show_progress("retrain") as progress, job_parts(settings_with(), progress) as parts:
        assert parts.alerts.close_seconds / 2 > parts.alerts.timeout_seconds
