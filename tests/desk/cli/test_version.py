"""`nightdesk --version`, as it is installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT

HEAVY = {"aiohttp", "ccxt", "lightgbm", "numba", "numpy", "pandas", "pyarrow", "requests", "rich", "scipy", "sklearn"}


@pytest.fixture
def project() -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return document


def test_it_says_the_version_and_needs_no_settings(project: dict[str, Any], tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("nightdesk")
    for arguments in (["--version"], ["--settings", "absent.yml", "--version", "status"]):
        done = subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (f"nightdesk {project['version']}\n", "")
    assert list(tmp_path.iterdir()) == []


def test_saying_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['nightdesk', '--version']\n"
        "from nightdesk.cli.main import main\n"
        "try: main()\n"
        f"finally: print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == [""]


def test_what_is_installed_says_under_which_licence(project: dict[str, Any]) -> None:
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "Copyright 2026 the Nightdesk authors" in text
    installed = metadata("nightdesk")
    assert installed["License-Expression"] == project["license"] == "Apache-2.0"
    assert installed.get_all("License-File") == ["LICENSE"]
