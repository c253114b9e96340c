"""Moments that no calendar has: in whatever file they stand, commands say so, and go on with the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk.cli.main import main
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.journal.journal import GuardTransition, Journal
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_trendbot.live import DecisionLog, DecisionRecord, log_path

from tests.core.conftest import closed_trade
from tests.desk.answering import answering, saying
from tests.desk.cli.test_terminal import Home
from tests.desk.conftest import Load

STAMPS = (1e300, -1e300, 1e17, -1e12, 3e11, -1.0, 0.0)


class OddHome(Home):
    """One in which every moment is such a stamp."""

    def __init__(self, file: Path, stamp: float) -> None:
        folder = file.parent / "home"
        self.file = file
        self.state_dir = folder / "state"
        whole = int(max(min(stamp, 2**62), -(2**62)))
        journal = Journal(self.state_dir / "btc.sqlite")
        with journal.transaction():
            journal.record_trade(replace(closed_trade(1), entry_time=whole, exit_time=whole))
            journal.record_trade(replace(closed_trade(2), exit_time=whole), shadow=True)
            journal.record_equity(MarketTime(whole), 1.0)
            journal.record_transition(GuardTransition(MarketTime(whole), "normal", "reduced", "why"))
            for key in ("engine", "guard", "market"):
                journal.save(key, {"last_close": stamp, "time": stamp, "since": stamp, "updated_at": stamp})
        journal.close()
        decision = DecisionRecord(
            *(MarketTime(whole), "BTC/USDT:USDT", 1.0, "trend", 1, None, None, "x", 1.0, 0.0), *("a", "b", "c")
        )
        DecisionLog(log_path(self.state_dir, "btc")).append(decision)
        registry = ModelRegistry(folder / "models", clock=lambda: WallTime(stamp))
        self.versions = []
        for number in range(2):
            files = {"model.txt": str(number).encode(), "backtest.json": b"{}", "evaluation.json": b"{}"}
            times = dict.fromkeys(("train_start", "train_end", "last_label_end", "data_end"), MarketTime(stamp))
            sealed = registry.seal(registry.stage(files), strategy="a:B", data_fingerprint="x", **times)
            self.versions.append(registry.publish(sealed).version)
            manifest = registry.bundle(self.versions[-1]) / "manifest.json"
            manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "trained_at": stamp}))
        registry.promote(self.versions[0], standing="champion", instead_of=None)
        log = AuditLog(self.state_dir / "audit.jsonl", clock=lambda: WallTime(stamp))
        data = {"rows": 1, "fingerprint": "x", "end": stamp}
        verdict = {
            "version": self.versions[0],
            "verdict": "a",
            "data": data,
            "training": {"start": stamp, "end": stamp},
        }
        log.append("verdict", verdict, actor="job")
        log.append("promoted", {"version": self.versions[0], "standing": "champion", "at": stamp}, actor="job")
        section = {"updated_at": stamp, "stale_after": stamp, "started_at": stamp, "trained_at": stamp}
        (folder / "logs").mkdir()
        sections = dict.fromkeys(("bot", "retrain", "model", "guard", "markets"), section)
        (folder / "logs" / "bot_status.json").write_text(json.dumps({"schema_version": 1, **sections}))
        (self.state_dir / "retrain_requests.json").write_text(json.dumps([{"at": stamp, "reason": "x"}]))


@pytest.mark.parametrize("stamp", STAMPS)
def test_no_command_ends_by_a_moment_that_no_calendar_has(
    stamp: float, settings_file: Path, settings_with: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = OddHome(settings_file, stamp)
    with answering(settings_with().port("exchange"), saying({"error": "x"}, status=400)):
        for name, arguments in home.commands().items():
            for more in ([], ["--csv"], ["--json"]):
                if more and name not in (("trades", "decisions") if more == ["--csv"] else ("status",)):
                    continue
                monkeypatch.setattr("sys.argv", ["nightdesk", "--settings", str(home.file), *arguments, *more])
                with pytest.raises(SystemExit):
                    main()
