"""Where compiled functions are kept: for this very code alone, where something can be written, or nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from nightdesk_trendbot import compiled
from nightdesk_trendbot.compiled import cache_folder

from tests.other_user import as_other_user

HOME = Path("home")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for room in ("signals", "engine", "model"):
        (tmp_path / "package" / room).mkdir(parents=True)
        (tmp_path / "package" / room / "types.py").write_text("class Close: ...")
    return tmp_path / "package"


def found(package: Path, *, own: str = "") -> Path:
    folder = cache_folder(package, own=own, home=package.parent / HOME)
    assert folder is not None
    assert folder.is_dir()
    return folder


@pytest.mark.parametrize("room", ["signals", "engine", "model"])
def test_a_change_of_any_compiled_module_makes_another_folder_and_forgets_the_one_before(
    room: str, package: Path
) -> None:
    before = found(package)
    assert before.parent == package / "__pycache__"
    assert found(package) == before
    (package / room / "types.py").write_text("class CandleClose: ...")
    after = found(package)
    assert after != before
    assert not before.exists()


def test_a_package_that_cannot_be_written_is_kept_in_the_user_s_folder(package: Path) -> None:
    (package / "__pycache__").write_text("no folder")
    assert found(package).parent == package.parent / HOME / ".cache" / "nightdesk"


def test_a_folder_that_a_person_chose_is_used_and_what_others_use_in_it_is_left(package: Path, tmp_path: Path) -> None:
    before = found(package, own=str(tmp_path / "chosen"))
    (package / "engine" / "types.py").write_text("")
    assert found(package, own=str(tmp_path / "chosen")).parent == tmp_path / "chosen"
    assert before.exists()
    os.utime(before, (0, 0))
    found(package, own=str(tmp_path / "chosen"))
    assert not before.exists(), "but for what nobody has used for a month"


def test_what_another_user_has_compiled_is_not_run(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = found(package)
    monkeypatch.setattr(os, "geteuid", lambda: beside.stat().st_uid + 1)
    assert cache_folder(package, own="", home=package.parent / HOME) is None


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/nonexistent"},
        {"HOME": "/root"},
        {"HOME": ""},
        {},
        {"HOME": "/nonexistent", "NUMBA_CACHE_DIR": "/proc/none"},
        {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/proc/none"},
    ],
    ids=str,
)
def test_a_user_who_can_write_nowhere_runs_what_is_compiled(environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "nightdesk_trendbot"
        shutil.copytree(Path(compiled.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        Path(name).chmod(0o755)
        code = "from nightdesk_trendbot import compiled; from nightdesk_trendbot.engine import broker;"
        code += "print(compiled.__file__, compiled._FOLDER, broker.flat(1.0).side)"
        every = {"PATH": os.environ["PATH"], "PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"}
        command = (sys.executable, "-c", code)
        done = as_other_user(*command, timeout_seconds=120, env={**every, **environment}, cwd="/")
    assert done.stdout == f"{copy / 'compiled.py'} None 0\n", done.stderr


def test_where_nothing_can_be_written_nothing_is_kept(package: Path) -> None:
    (package / "__pycache__").write_text("no folder")
    (package.parent / HOME).write_text("no folder")
    assert cache_folder(package, own="", home=package.parent / HOME) is None


def test_code_that_was_upgraded_in_place_runs_though_a_type_was_renamed_elsewhere(tmp_path: Path) -> None:
    copy = tmp_path / "nightdesk_trendbot"
    source = Path(compiled.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    run = "from nightdesk_trendbot.engine import broker, rules; print(rules.barriers_at)"
    call = (
        "from nightdesk_trendbot.engine.broker import Order, Barriers, flat, place;"
        "print(place(flat(0.0), Order(1, 1.0, 1.0, Barriers(0.1, 0.1, 60))).waiting)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def output(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert output(call) == "True\n"
    for file in copy.rglob("*.py"):
        text = file.read_text()
        if "Barriers" in text:
            file.write_text(text.replace("Barriers", "BarrierDistances"))
    assert output(call.replace("Barriers", "BarrierDistances")) == "True\n"
    assert output(run)
