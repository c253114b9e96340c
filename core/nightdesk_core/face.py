"""A package's face that loads lazily (PEP 562): each name is loaded, with its module, when it is first asked for.

A face imports its names under `TYPE_CHECKING`, where mypy sees them, and names them once more for `lazy_face`:

if TYPE_CHECKING:
    from nightdesk_guard.guard import Guard
else:
    __getattr__, __dir__ = lazy_face(__name__, {"nightdesk_guard.guard": ["Guard"]})

__all__ = ["Guard"]

`tests/test_faces.py` holds the three against each other. No name may be that of a submodule of its package:
whichever of the two is loaded last would stand for both.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def lazy_face(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package; `names` are those that it shows, by their modules."""
    modules = {name: module for module, shown in names.items() for name in shown}

    def load(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, found)  # from now on found without asking here
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return load, listed
