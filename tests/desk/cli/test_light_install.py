"""`pip install nightdesk` alone: every command works, or says which extra it needs, and none ends in a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import typer
from nightdesk.cli.main import app
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.desk.cli.test_terminal import every_command
from tests.desk.conftest import CHECKOUT, on_free_ports

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
WORKS = {
    *("bots", "kill", "resume", "status", "audit verify", "check", "trades", "decisions", "positions", "settings"),
    *("metrics", "alerts", "models list", "retrain"),
}
ARGUMENTS = {
    "kill": ["--reason", "x"],
    "resume": ["--reason", "x"],
    "check": ["--offline"],
    "retrain": ["--request", "--reason", "x"],
    "retrain retire": ["old"],
    "positions close": ["X", "--at", "1", "--reason", "x"],
    "models rollback": ["--reason", "x"],
    "models diff": ["v1", "v2"],
    "models prune": ["--keep", "1", "--days", "0"],
    "audit renew": ["--reason", "x"],
    "audit explain": ["v1"],
    "audit replay": ["v1"],
    "sandbox fault": ["x"],
    "stack stop": ["bot"],
    "stack start": ["bot"],
    "stack reload": ["bot"],
    "gate power": ["--draws", "5"],
    "amtool": ["alert"],
}
WITHOUT_END = {"schedule", "tools"}
"""One waits for the hour, and starts `nightdesk retrain`; the other fetches programs, for which it needs no library."""
PROGRAM = """
import contextlib, io, json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from nightdesk.cli.main import main
found = {}
for name, line in json.loads(sys.argv[2]).items():
    sys.argv = ["nightdesk", *line]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as end:
            found[name] = (end.code, out.getvalue())
print(json.dumps(found))
"""


@cache
def of_the_base() -> set[str]:
    """Return all distributions that a light install has."""
    found: set[str] = set()
    left = [Requirement(text) for text in PROJECT["dependencies"]]
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            left += map(Requirement, requires(name) or [])
        except PackageNotFoundError:  # of another platform
            continue
    return found


def missing_modules() -> set[str]:
    """Return the modules that extras bring beyond that, by the names that they are imported by."""
    extras = [Requirement(text) for texts in PROJECT["optional-dependencies"].values() for text in texts]
    extra = {canonicalize_name(wanted.name) for wanted in extras} - of_the_base() - {"nightdesk"}
    names = {
        module
        for module, distributions in packages_distributions().items()
        if extra & {canonicalize_name(name) for name in distributions}
    }
    return {name for name in names if not name.startswith("_")} - {"pytest", "mypy", "ruff"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int | None, str]]:
    """What each command says, with its exit code, in one process that lacks what extras bring."""
    folder = tmp_path_factory.mktemp("light")
    settings = folder / "nightdesk.yml"
    settings.write_text(f"home: .\n{on_free_ports()}")
    (folder / "state").mkdir()
    (folder / "state" / "guard.lock").touch()
    names = sorted(
        set(every_command(typer.main.get_command(app))) - WITHOUT_END, key=lambda name: (name == "resume", name)
    )
    lines = {name: ["--settings", str(settings), *name.split(), *ARGUMENTS.get(name, [])] for name in names}
    lines["--version"] = ["--version"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(sorted(missing_modules())), json.dumps(lines)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=folder,
        env=os.environ | {"NIGHTDESK_BOTS_DIR": str(folder / "bots")},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[int | None, str]] = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == set(lines)
    return found


def test_what_is_missing_is_what_extras_bring() -> None:
    assert missing_modules() >= {
        "numpy",
        "pandas",
        "numba",
        "ccxt",
        "lightgbm",
        "aiohttp",
        "re2",
        "bcrypt",
        "supervisor",
    }
    assert {"typer", "rich", "h11", "prometheus-client", "pydantic"} <= of_the_base()
    assert not {"rich", "typer", "markdown_it"} & missing_modules()


def test_no_command_ends_in_a_traceback(told: dict[str, tuple[int | None, str]]) -> None:
    assert [name for name, (_, text) in told.items() if "Traceback" in text or "please report" in text] == []


def test_what_a_command_lacks_is_named_by_an_extra_that_there_is(told: dict[str, tuple[int | None, str]]) -> None:
    lacking = {name: text for name, (code, text) in told.items() if code == 2 and "light install" in text}
    assert {"guard calibrate", "gate power", "bot", "pages", "run", "sandbox exchange"} <= set(lacking)
    for name, text in lacking.items():
        (extra,) = set(re.findall(r"pip install 'nightdesk\[(\w+)\]'", text))
        assert extra in PROJECT["optional-dependencies"], name
        (module,) = re.findall(r"needs (\w+)", text)
        brought = {canonicalize_name(Requirement(each).name) for each in PROJECT["optional-dependencies"][extra]}
        by = {canonicalize_name(each) for each in packages_distributions()[module]}
        assert extra == "all" or by & brought, f"{name}: {module} is not in {extra}"


@pytest.mark.parametrize("name", sorted(WORKS))
def test_it_works(name: str, told: dict[str, tuple[int | None, str]]) -> None:
    code, text = told[name]
    assert code in (0, None) or "says nothing yet" in text or "there is no journal" in text, (
        f"{name} ended with {code}: {text}"
    )
    if code:
        assert "light install" not in text


def test_the_version_is_told(told: dict[str, tuple[int | None, str]]) -> None:
    assert tuple(told["--version"]) == (0, f"nightdesk {PROJECT['version']}\n")


def test_a_bot_loads_nothing_of_the_command_line(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from nightdesk_exporter import BotExporter
with BotExporter("a", symbols=[], port=0) as exporter:
    assert "pydantic" not in sys.modules
    from nightdesk_guard import Guard
    with Guard(Path({str(tmp_path / "state")!r}), break_even_win_rate=0.5, reporter=exporter):
        assert not {{"typer", "rich", "click"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
