"""The rooms of the house as their files say it: what each imports, and what its face shows. Nothing is loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
_PUBLIC_SUBMODULES = "Public submodules:"


def path_of(module: str) -> Path | None:
    """Return the file of one of our modules; `None` where there is no such module."""
    package = module.partition(".")[0]
    if package not in PACKAGES:
        return None
    path = CHECKOUT / PACKAGES[package] / module.replace(".", "/")
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def imported_modules(file: Path) -> Iterator[str]:
    """Yield the modules of ours that a module imports, wherever in it, also for its annotations alone."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if path_of(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and path_of(node.module):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if path_of(submodule) else node.module


@dataclass(frozen=True)
class Face:
    """What a package's `__init__.py` says of it."""

    package: str
    docstring: str
    declared: frozenset[str]
    """The names of `__all__`."""
    typed: frozenset[tuple[str, str]]
    """What mypy sees: each name with the module that it is imported from under `TYPE_CHECKING`."""
    lazy: frozenset[tuple[str, str]]
    """What is loaded: each name with the module that it is taken from when it is first asked for."""

    @classmethod
    def of(cls, package: str) -> Face:
        """Return the face of a package."""
        file = path_of(package)
        assert file is not None
        tree = ast.parse(file.read_text(encoding="utf-8"))
        declared: frozenset[str] = frozenset()
        typed: set[tuple[str, str]] = set()
        lazy: set[tuple[str, str]] = set()
        for node in tree.body:
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                typed |= set(_imported_names(node.body))
                lazy |= set(_lazy_names(node.orelse))
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                declared = frozenset(ast.literal_eval(node.value))
        return cls(package, ast.get_docstring(tree) or "", declared, frozenset(typed), frozenset(lazy))

    @property
    def public_submodules(self) -> dict[str, str]:
        """What its docstring names as such: each with the reason why others may import it."""
        _, _, below = self.docstring.partition(f"\n{_PUBLIC_SUBMODULES}\n")
        lines = [line.strip().partition(": ") for line in below.splitlines()]
        return {f"{self.package}.{name}": reason for name, _, reason in lines}


def _imported_names(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.name, node.module) for alias in node.names)


def _lazy_names(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names: dict[str, list[str]] = ast.literal_eval(node.value.args[1])
            yield from ((name, module) for module, shown in names.items() for name in shown)
