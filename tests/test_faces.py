"""The faces of the rooms: what mypy sees of them, what is loaded of them, and what their docstrings say is the same."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from tests.rooms import CHECKOUT, PACKAGES, Face, path_of

ROOMS = sorted(set(PACKAGES) - {"nightdesk_core", "nightdesk"})
"""Core is imported by its modules, and the desk by nobody."""
PARTS = sorted(
    f"nightdesk_trendbot.{file.parent.name}" for file in CHECKOUT.glob("trendbot/nightdesk_trendbot/*/__init__.py")
)
LAZY = [package for package in (*ROOMS, *PARTS) if Face.of(package).declared]


def test_every_room_and_every_part_of_trendbot_has_a_face() -> None:
    assert {*ROOMS, *PARTS} - set(LAZY) == {"nightdesk_trendbot"}, "it shows only its parts"


@pytest.mark.parametrize("package", LAZY)
def test_what_mypy_sees_is_what_is_loaded(package: str) -> None:
    face = Face.of(package)
    assert face.lazy == face.typed
    assert {name for name, _ in face.typed} == face.declared


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_face_can_be_loaded_and_is_listed(package: str) -> None:
    face, module = Face.of(package), importlib.import_module(package)
    for name, source in face.lazy:
        assert getattr(module, name) is getattr(importlib.import_module(source), name)
    assert set(dir(module)) >= face.declared


@pytest.mark.parametrize("package", LAZY)
def test_no_name_of_a_face_is_that_of_a_submodule(package: str) -> None:
    """Whichever of the two is loaded last would stand for both."""
    for name in Face.of(package).declared:
        assert path_of(f"{package}.{name}") is None, f"{package}.{name} is both a name and a module"


@pytest.mark.parametrize("package", LAZY)
def test_a_name_that_there_is_not_is_an_error_that_names_it(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        importlib.import_module(package).Nothing  # noqa: B018 - asking is all


@pytest.mark.parametrize("package", LAZY)
def test_its_docstring_says_what_each_name_is_for(package: str) -> None:
    face = Face.of(package)
    assert [name for name in sorted(face.declared) if f"`{name}`" not in face.docstring] == []


@pytest.mark.parametrize("package", ROOMS)
def test_the_public_submodules_exist_and_each_has_a_reason(package: str) -> None:
    submodules = Face.of(package).public_submodules
    assert f"{package}.settings" in submodules
    assert [name for name, reason in submodules.items() if path_of(name) is None or not reason] == []


def test_a_face_loads_nothing_until_it_is_asked() -> None:
    code = f"""
import importlib, json, sys
for package in {[*ROOMS, *PARTS]}:
    importlib.import_module(package)
print(json.dumps([name for name in sys.modules if name.partition("_")[0] == "nightdesk"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert set(json.loads(done.stdout)) == {*ROOMS, *PARTS, "nightdesk_core", "nightdesk_core.face"}
