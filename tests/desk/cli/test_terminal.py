"""What commands print: through one place, fit to be shown, and never the end of what a command is about."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from nightdesk.cli.main import app, main
from nightdesk_core.audit import AuditLog
from nightdesk_core.bots.record import BotRecord
from nightdesk_core.bots.registration import registered
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.journal.journal import Journal
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.text import clean
from nightdesk_trendbot.live import DecisionLog, DecisionRecord, log_path
from typer.testing import CliRunner

from tests.core.conftest import closed_trade
from tests.desk.answering import answering, saying
from tests.desk.conftest import CHECKOUT, Load

ESCAPE = "\x1b]0;owned\x07\x9b2J\u202e\u200b"
HOSTILE = f"[/boom][red]{ESCAPE}\nSTOP all is well\r\n"
SHOWN = "[/boom][red]\ufffd]0;owned\ufffd\ufffd2J\ufffd\ufffd"
LONG_RUNNING = {
    "run",
    "bot",
    "pages",
    "schedule",
    "sandbox exchange",
    "sandbox inbox",
    "tools",
    "guard calibrate",
    "gate power",
}
"""Tried with the whole stack, or print only numbers."""


PRINTERS = ("print", "typer.echo", "typer.secho", "click.echo", "Console", "sys.stdout.write", "sys.stderr.write")


def test_nothing_of_the_desk_prints_past_the_terminal_s_module() -> None:
    allowed = {"terminal.py", "stack/display.py", "cli/progress.py"}
    package = CHECKOUT / "desk" / "nightdesk"
    found = []
    for file in sorted(package.rglob("*.py")):
        if str(file.relative_to(package)) in allowed:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in (
                "print",
                "typer.echo",
                "typer.secho",
                "click.echo",
                "Console",
                "sys.stdout.write",
                "sys.stderr.write",
            ):
                found.append(f"{file.name}: {ast.unparse(node)[:80]}")
    assert found == []


def hostile_bot() -> BotRecord:
    return BotRecord(name=HOSTILE, part="exporter", pid=1, started_at=WallTime(1.0), url=HOSTILE, status_file=HOSTILE)


class Home:
    """A home in which every text that somebody else may have written is hostile."""

    def __init__(self, file: Path) -> None:
        folder = file.parent / "home"
        self.file = file
        self.state_dir = folder / "state"
        journal = Journal(self.state_dir / "btc.sqlite")
        with journal.transaction():
            journal.record_trade(replace(closed_trade(1), symbol=HOSTILE, model_version=HOSTILE))
            journal.record_trade(replace(closed_trade(2), symbol=HOSTILE), shadow=True)
        journal.close()
        decision = DecisionRecord(
            *(MarketTime(1_571_302_800), HOSTILE, 1.0, HOSTILE, 1, None, None, HOSTILE, 1.0, 0.0),
            *(HOSTILE, HOSTILE, HOSTILE),
        )
        DecisionLog(log_path(self.state_dir, "btc")).append(decision)
        registry = ModelRegistry(folder / "models", clock=lambda: WallTime(1_571_302_800.0))
        self.versions = [self._publish(registry, number) for number in range(2)]
        registry.promote(self.versions[0], standing="champion", instead_of=None)
        log = AuditLog(self.state_dir / "audit.jsonl")
        verdict = {
            "version": self.versions[0],
            "verdict": HOSTILE,
            "trigger": HOSTILE,
            "reason": HOSTILE,
            "data": {"rows": 1, "fingerprint": HOSTILE, "end": 1_571_302_800.0},
            "training": {"start": 1_500_000_000.0, "end": 1_550_000_000.0},
        }
        log.append("verdict", verdict, actor=HOSTILE)
        rollback = {"version": HOSTILE, "reason": HOSTILE}
        log.append(
            "rolled_back", {"version": self.versions[0], "standing": HOSTILE, "rollback": rollback}, actor=HOSTILE
        )
        section = {
            "updated_at": time.time(),
            "stale_after": time.time() + 3600,
            HOSTILE: HOSTILE,
            "a": [{HOSTILE: HOSTILE}],
        }
        with registered(hostile_bot(), identity="hostile"):
            pass  # it ends, and is known
        (folder / "logs").mkdir()
        (folder / "logs" / "bot_status.json").write_text(json.dumps({"schema_version": 1, HOSTILE: section}))

    @staticmethod
    def _publish(registry: ModelRegistry, number: int) -> str:
        verdict = {"verdict": HOSTILE, "reason": HOSTILE, "trigger": HOSTILE}
        files = {
            "model.txt": str(number).encode(),
            "backtest.json": json.dumps({HOSTILE: HOSTILE}).encode(),
            "evaluation.json": json.dumps(verdict).encode(),
            "settings.json": json.dumps({HOSTILE: f"{HOSTILE}{number}"}).encode(),
            "data.json": json.dumps({"summary": {HOSTILE: HOSTILE}}).encode(),
        }
        times = dict.fromkeys(("train_start", "train_end", "last_label_end", "data_end"), MarketTime(1))
        sealed = registry.seal(registry.stage(files), strategy=HOSTILE, data_fingerprint=HOSTILE, **times)
        return registry.publish(sealed).version

    def commands(self) -> dict[str, list[str]]:
        """Return the arguments of each command that is tried."""
        first, second = self.versions
        given = {
            "bots": [],
            "decisions": [],
            "trades": [],
            "status": [],
            "check": ["--offline"],
            "settings": [],
            "metrics": [],
            "alerts": [],
            "render": [],
            "kill": ["--reason", HOSTILE],
            "resume": ["--reason", HOSTILE],
            "retrain": ["--request", "--reason", HOSTILE],
            "retrain retire": [HOSTILE],
            "models list": [],
            "models show": [],
            "models diff": [first, second],
            "models verify": [],
            "models rollback": ["--reason", HOSTILE],
            "models prune": ["--keep", "1", "--days", "0"],
            "positions": [],
            "positions close": [HOSTILE, "--at", "1", "--reason", HOSTILE],
            "audit verify": [],
            "audit renew": ["--reason", HOSTILE],
            "audit explain": [HOSTILE],
            "audit replay": [HOSTILE],
            "audit champion": [],
            "sandbox fault": [HOSTILE],
            "stack status": [],
            "stack stop": [HOSTILE],
            "stack start": [HOSTILE],
            "stack reload": [],
            "login": [],
            "silences": [],
            "drill": [],
            "init": [str(self.file.parent / "begun"), "--bot", HOSTILE],
            "rules": ["--out", str(self.file.parent / "rules"), "--bot", HOSTILE],
            "amtool": ["silence", "query"],
        }
        assert set(given) | LONG_RUNNING == set(every_command(typer.main.get_command(app))), "a command is not tried"
        return {name: [*name.split(), *arguments] for name, arguments in given.items()}


def every_command(group: Any, before: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found += every_command(command, f"{before}{name} ")
            found += [f"{before}{name}"] if command.invoke_without_command else []
        else:
            found.append(f"{before}{name}")
    return found


def test_no_command_prints_what_a_terminal_obeys_or_a_line_that_nobody_wrote(
    settings_file: Path, settings_with: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    home = Home(settings_file)
    with answering(settings_with().port("exchange"), saying({"error": HOSTILE}, status=400)):
        for name, arguments in home.commands().items():
            for more in ([], ["--csv"], ["--json"]):
                if more and name not in (("trades", "decisions") if more == ["--csv"] else ("status",)):
                    continue
                monkeypatch.setattr("sys.argv", ["nightdesk", "--settings", str(home.file), *arguments, *more])
                with pytest.raises(SystemExit):
                    main()
                said = "".join(capsys.readouterr())
                assert clean(said) == said, name
                assert not [line for line in said.splitlines() if line.startswith("STOP all")], name
                shown += [name] if SHOWN in said else []
    assert {"bots", "trades", "decisions", "status", "kill", "models show", "audit champion", "sandbox fault"} <= set(
        shown
    )


@pytest.mark.parametrize(
    "section", [{}, {"stale_after": None}, {"stale_after": "x", "updated_at": []}, {"stale_after": 1e300}]
)
def test_a_status_file_whose_times_are_none_is_stale(settings_file: Path, section: dict[str, Any]) -> None:
    logs = settings_file.parent / "home" / "logs"
    logs.mkdir()
    (logs / "bot_status.json").write_text(json.dumps({"schema_version": 1, "bot": section}))
    done = CliRunner().invoke(app, ["--settings", str(settings_file), "status"])
    assert done.exit_code == 1
    assert "bot  (STALE since an unknown time)" in done.stdout


def nightdesk(file: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nightdesk", "--settings", str(file), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)


@pytest.fixture
def stopped(settings_file: Path) -> Path:
    """The settings of a home in which a bot has run."""
    state_dir = settings_file.parent / "home" / "state"
    state_dir.mkdir()
    (state_dir / "guard.lock").touch()
    return settings_file


def test_a_reader_who_is_gone_and_no_output_at_all_keep_no_kill_from_being_recorded(stopped: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for number, closed in enumerate((False, True)):
        shell = ["sh", "-c", '"$@" >&-', "-"] if closed else []
        process = subprocess.Popen(
            [*shell, sys.executable, "-m", "nightdesk", "--settings", str(stopped), "kill", "--reason", "why"],
            stdout=writer,
            stderr=subprocess.PIPE,
        )
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, b"")
        audit = AuditLog(stopped.parent / "home" / "state" / "audit.jsonl")
        assert len(list(audit.entries())) == number + 1
    os.close(writer)


def test_output_that_a_full_disk_does_not_take_is_an_error_after_the_work_is_done(stopped: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = nightdesk(stopped, "kill", "--reason", "why", stdout=full)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"the output could not be written whole ([Errno 28] No space left on device)" in error
    assert len(list(AuditLog(stopped.parent / "home" / "state" / "audit.jsonl").entries())) == 1


def test_a_terminal_that_knows_few_letters_is_given_those(stopped: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = nightdesk(stopped, "kill", "--reason", "größer 比", stdout=subprocess.PIPE, env=environment)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, b"")
    assert b"is latched: " in out
    assert out.isascii()
