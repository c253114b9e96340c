"""`nightdesk status`: the status file as people read it."""

from __future__ import annotations

import time
from pathlib import Path

from nightdesk.cli.main import app
from nightdesk_core.clock import WallTime
from nightdesk_exporter import StatusFile
from typer.testing import CliRunner


def test_records_are_a_line_each_and_the_last_ten_of_them(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.yml").write_text("home: .\n")
    events = [
        {"at": f"2026-11-23T07:00:{second:02}Z", "level": "info", "text": f"event {second}"} for second in range(12)
    ]
    StatusFile(tmp_path / "logs" / "bot_status.json").replace(
        {"bot": {"events": events, "health": "healthy", "market_time": None}},
        now=WallTime(time.time()),
        lifetime_seconds=60,
    )
    done = CliRunner().invoke(app, ["--settings", str(tmp_path / "nightdesk.yml"), "status"])
    assert done.exit_code == 0
    verdict, first, *lines = done.stdout.splitlines()
    assert verdict == "btc: HEALTHY"
    assert first.startswith("bot  (as of ")
    assert lines[0] == f"  {'events':28} 2026-11-23T07:00:02Z  info  event 2"
    assert lines[9] == f"  {'':28} 2026-11-23T07:00:11Z  info  event 11"
    assert lines[10:] == [f"  {'health':28} healthy", f"  {'not reported':28} market_time"]
