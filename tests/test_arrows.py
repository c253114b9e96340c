"""Imports between rooms point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "nightdesk_core": "core",
    "nightdesk_alerts": "alerts",
    "nightdesk_exporter": "exporter",
    "nightdesk_guard": "guard",
    "nightdesk_retrain": "retrain",
    "nightdesk_trendbot": "trendbot",
    "nightdesk_sandbox": "sandbox",
    "nightdesk": "desk",
}
MAY_IMPORT = {
    "core": set(),
    "alerts": {"core"},
    "exporter": {"core", "alerts"},
    "guard": {"core", "alerts"},
    "sandbox": {"core"},
    "retrain": {"core", "alerts", "exporter"},
    "trendbot": {"core", "alerts", "exporter", "guard"},
    "desk": {"core", "alerts", "exporter", "guard", "retrain", "trendbot", "sandbox"},
}
NUMERIC = {CHECKOUT / "guard/nightdesk_guard" / name for name in ("calibration.py", "resampling.py")}
"""The retrain job runs them, which has numbers anyway; the bot only reads what they found."""


def imported_rooms(file: Path) -> set[str]:
    """Return the rooms whose packages a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return {PACKAGES[name] for name in names if name in PACKAGES}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = sorted((CHECKOUT / room).rglob("*.py"))
    assert files
    for file in files:
        forbidden = imported_rooms(file) - {room} - MAY_IMPORT[room]
        assert not forbidden, f"{file.relative_to(CHECKOUT)} imports {', '.join(sorted(forbidden))}"


@pytest.mark.parametrize("light", ["core", "alerts", "exporter", "guard"])
def test_the_light_rooms_import_nothing_heavy(light: str) -> None:
    heavy = {"numpy", "pandas", "sklearn", "lightgbm", "ccxt", "numba", "aiohttp"}
    for file in sorted(set((CHECKOUT / light).rglob("*.py")) - NUMERIC):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        } | {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not imports & heavy, f"{file.relative_to(CHECKOUT)} imports {imports & heavy}"


@pytest.mark.parametrize("light", ["core", "alerts", "exporter", "guard"])
def test_the_light_rooms_never_load_their_numeric_modules(light: str) -> None:
    numeric = {file.stem for file in NUMERIC}
    for file in sorted(set((CHECKOUT / light).rglob("*.py")) - NUMERIC):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = {
            node.module.split(".")[-1] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
        }
        assert not modules & numeric, f"{file.relative_to(CHECKOUT)} imports {modules & numeric}"
