"""Imports between rooms point one way, and go through what the rooms show."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rooms import CHECKOUT, PACKAGES, Face, imported_modules, path_of

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


PARTS = {
    "core/nightdesk_core": {
        "files": set(),
        "bots": {"files"},
        "journal": {"files"},
        "settings.py": {"files"},
        "secrets": {"settings.py"},
        "audit.py": {"files"},
        "models": {"audit.py", "files"},
    },
    "exporter/nightdesk_exporter": {
        "metrics": set(),
        "snapshot.py": {"metrics"},
        "health": {"snapshot.py"},
        "page": {"snapshot.py"},
        "declared.py": {"snapshot.py"},
        "calls": {"declared.py", "metrics", "snapshot.py"},
        "web": {"health", "page"},
        "logs.py": {"metrics"},
        "log_bridges.py": {"logs.py"},
        "settings.py": {"snapshot.py"},
        "status.py": {"health", "metrics", "snapshot.py"},
        "server.py": {"health", "web"},
        "apps.py": {"web"},
        "push.py": set(),
        "sigterm.py": set(),
        "running.py": set(),
        "collector.py": {"health", "metrics", "snapshot.py"},
        "bot.py": {
            *("apps.py", "calls", "collector.py", "declared.py", "health", "logs.py", "metrics", "page", "push.py"),
            *("running.py", "server.py", "sigterm.py", "snapshot.py", "status.py"),
        },
        "__init__.py": {"bot.py", "health", "push.py", "snapshot.py", "web"},
    },
    "trendbot/nightdesk_trendbot": {
        "signals": set(),
        "market": {"signals"},
        "candle_store": {"signals", "market"},
        "engine": {"signals"},
        "model": {"signals", "engine"},
        "live": {"signals", "market", "engine", "model"},
        "pipeline.py": {"signals", "candle_store", "model"},
    },
    "desk/nightdesk": {
        "bot": set(),
        "render": set(),
        "pages": set(),
        "stack": {"pages", "render"},
        "check": {"render", "stack", "reference.py"},
        "cli": {"bot", "check", "pages", "reference.py", "render", "stack"},
        "reference.py": {"bot"},
        "__main__.py": {"cli"},
    },
}
"""The rooms inside rooms: what each may import of the others. A module that lies beside them imports none of them,
and may be imported by all, but for those that are named."""


def imported_rooms(file: Path) -> set[str]:
    """Return the rooms whose packages a module imports, wherever in it."""
    return {PACKAGES[name.partition(".")[0]] for name in imported_modules(file)}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = sorted((CHECKOUT / room).rglob("*.py"))
    assert files
    for file in files:
        forbidden = imported_rooms(file) - {room} - MAY_IMPORT[room]
        assert not forbidden, f"{file.relative_to(CHECKOUT)} imports {', '.join(sorted(forbidden))}"


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_each_other_by_their_faces_or_by_public_submodules(room: str) -> None:
    shown = {
        name
        for package in PACKAGES
        if package not in ("nightdesk_core", "nightdesk")
        for name in (package, *Face.of(package).public_submodules)
    }
    for file in sorted((CHECKOUT / room).rglob("*.py")):
        others = {name for name in imported_modules(file) if PACKAGES[name.partition(".")[0]] not in (room, "core")}
        assert not others - shown, f"{file.relative_to(CHECKOUT)} imports {', '.join(sorted(others - shown))}"


@pytest.mark.parametrize("room", sorted(PARTS))
def test_the_rooms_inside_a_room_import_each_other_one_way(room: str) -> None:
    arrows, folder = PARTS[room], CHECKOUT / room
    assert {path.parent.name for path in folder.glob("*/__init__.py")} <= set(arrows)
    for file in sorted(folder.rglob("*.py")):
        part = file.relative_to(folder).parts[0]
        modules = [name.split(".") for name in imported_modules(file)]
        inside = {name[1] for name in modules if name[0] == folder.name and len(name) > 1}
        found = {name for name in arrows if name.removesuffix(".py") in inside} - {part}
        forbidden = found - arrows.get(part, set())
        assert not forbidden, f"{file.relative_to(CHECKOUT)} imports {', '.join(sorted(forbidden))}"


@pytest.mark.parametrize("room", sorted(PARTS))
def test_no_arrow_inside_a_room_leads_back(room: str) -> None:
    arrows = PARTS[room]
    above: set[str] = set()
    while ready := [part for part in arrows if part not in above and arrows[part] <= above]:
        above.update(ready)
    assert above == set(arrows)


@pytest.mark.parametrize("room", sorted(set(MAY_IMPORT) - {"sandbox"}))
def test_no_modules_import_each_other_in_a_circle(room: str) -> None:
    """Not for annotations either. In the sandbox, the inbox's services and the list of them do."""
    folder = CHECKOUT / room
    left = {file: {path_of(name) for name in imported_modules(file)} - {file} for file in folder.rglob("*.py")}
    while free := [file for file, others in left.items() if not others & set(left)]:
        for file in free:
            del left[file]
    assert not left, f"in or above a circle: {', '.join(sorted(str(file.relative_to(CHECKOUT)) for file in left))}"


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
