"""What comes from outside is read by `reader`, `json_text` and `yaml_text` of core's `files`, and by nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import CHECKOUT

ROOMS = ("alerts", "core", "desk", "exporter", "guard", "retrain", "sandbox", "trendbot")
FILES = sorted(file for room in ROOMS for file in (CHECKOUT / room).rglob("*.py"))
READERS = {f"core/nightdesk_core/files/{name}.py" for name in ("reader", "json_text", "yaml_text")}
METHODS = {"read_text", "read_bytes", "json", "validate_json", "model_validate_json"}
FUNCTIONS = {
    *(f"json.{name}" for name in ("load", "loads")),
    *(f"yaml.{name}" for name in ("load", "load_all", "safe_load", "safe_load_all", "full_load", "unsafe_load")),
    *(f"pickle.{name}" for name in ("load", "loads")),
    "open",
    "os.open",
    "pydantic_core.from_json",
}
OTHERWISE = {
    ("core/nightdesk_core/files/durable.py", "os.open"): "a folder to sync, which is not read",
    (
        "core/nightdesk_core/files/permissions.py",
        "os.open",
    ): "what is written; the reader reads through it",
    (
        "core/nightdesk_core/files/stored.py",
        "_adapter(kind).validate_json",
    ): "what it lets through is read safely, too",
    ("core/nightdesk_core/journal/sealed.py", "json.loads"): "what its digest says is what this process has written",
    ("desk/nightdesk/stack/session.py", "stat.read_bytes"): "the kernel's own word on a process",
    ("desk/nightdesk/pages/peer.py", "table.open"): "the kernel's own word on a connection",
    ("desk/nightdesk/terminal.py", "os.open"): "the null device, to write to",
    ("guard/nightdesk_guard/profile.py", "_ADAPTER.validate_json"): "what was read safely before",
    ("desk/nightdesk/cli/guard.py", "json.loads"): "what this process has just written",
    (
        "sandbox/nightdesk_sandbox/recordings/files/content.py",
        "archive.open",
    ): "a member of an archive in memory, up to a bound",
    ("sandbox/nightdesk_sandbox/garble.py", "json.loads"): "a copy of what this process has just written",
    (
        "exporter/nightdesk_exporter/page/document.py",
        "Path(__file__).with_name(name).read_text",
    ): "a file of the package",
    ("sandbox/nightdesk_sandbox/inbox/page/document.py", "files(__package__).joinpath(name).read_text"): (
        "a file of the package"
    ),
    ("trendbot/nightdesk_trendbot/compiled.py", "file.read_bytes"): "the package's own code",
    ("retrain/nightdesk_retrain/reproduce.py", "pickle.loads"): "from the process that started this one",
    ("retrain/nightdesk_retrain/trial_process.py", "os.open"): "the null device, to write to",
    ("sandbox/nightdesk_sandbox/recordings/sample.py", "tarfile.open"): "what pip has fetched, its hash checked",
}
"""The calls that may read in their own way, and why."""


def readings(file: Path) -> Iterator[str]:
    """Yield each call of a module that reads, as it is written."""
    own = {"webbrowser.open", "self.open", "spool.open", "self._spool_writer.open"}
    if "alerts" in file.parts:
        own |= {"answer.json", "self._web.get(f'{self._url}/status', []).json"}  # `WebResponse.json`, which is safe
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from FUNCTIONS & {f"{node.module}.{alias.name}" for alias in node.names}
        if not isinstance(node, ast.Call):
            continue
        said = ast.unparse(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if said not in own and (said in FUNCTIONS or method in {*METHODS, "open"}):
            yield said


def found() -> set[tuple[str, str]]:
    return {(str(file.relative_to(CHECKOUT)), said) for file in FILES for said in readings(file)}


def test_nothing_from_outside_is_read_but_by_the_readers() -> None:
    others = {(file, said) for file, said in found() if file not in READERS}
    assert others - set(OTHERWISE) == set(), "read it with nightdesk_core.files.reader, json_text or yaml_text"


def test_every_exception_is_still_one() -> None:
    assert set(OTHERWISE) <= found()


@pytest.mark.parametrize(
    "code",
    [
        "Path('x').read_text()",
        "path.open()",
        "open(path)",
        "json.loads(x)",
        "yaml.safe_load(x)",
        "requests.get(url).json()",
        "adapter.validate_json(x)",
        "from json import loads",
        "from pydantic_core import from_json",
    ],
)
def test_a_reading_is_seen(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code)
    assert list(readings(tmp_path / "module.py"))
