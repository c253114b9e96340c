"""A bundle that is not exactly what was published is refused, with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.files import stored
from nightdesk_core.files.durable import indented_json
from nightdesk_core.models.bundle import BundleError, Manifest, verify
from nightdesk_core.models.registry import ModelRegistry

from tests.core.conftest import publish


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    registry = ModelRegistry(tmp_path / "models", clock=lambda: WallTime(1_571_302_800.0))
    return registry.bundle(publish(registry, "a model"))


def rewrite(bundle: Path, **fields: Any) -> None:
    """Change fields of the manifest; `None` removes one."""
    path = bundle / "manifest.json"
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def become_a_folder(path: Path) -> None:
    """Put something in a file's place that cannot be read, not even by root."""
    path.unlink()
    path.mkdir()


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed byte": (
        lambda folder: (folder / "model.txt").write_text("a modeL"),
        "model.txt was changed: its SHA-256 is not the manifest's",
    ),
    "a missing file": (lambda folder: (folder / "model.txt").unlink(), "model.txt is missing"),
    "an extra file": (lambda folder: (folder / "more.txt").write_text(""), "more.txt is not in the manifest"),
    "a file that cannot be read": (
        lambda folder: become_a_folder(folder / "model.txt"),
        "model.txt is a folder where a file must be; move it away",
    ),
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        "manifest.json cannot be read (No such file or directory)",
    ),
    "half a manifest": (
        lambda folder: (folder / "manifest.json").write_text('{"ver'),
        "manifest.json is not JSON: Unterminated string starting at, line 1 column 2",
    ),
    "another document": (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json holds no manifest"),
    "a newer format": (lambda folder: rewrite(folder, format=2), "has format 2, this release reads 1"),
    "no format": (lambda folder: rewrite(folder, format=None), "has format None, this release reads 1"),
    "files that are none": (
        lambda folder: rewrite(folder, files=["model.txt"]),
        "manifest.json: files: Input should be an object",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_bundle_is_refused_for(what: str, bundle: Path) -> None:
    spoil, reason = REFUSALS[what]
    version = bundle.name
    spoil(bundle)
    with pytest.raises(BundleError) as raised:
        verify(bundle)
    assert str(raised.value) == f"model {version} is refused: {reason}"
    assert (raised.value.folder, raised.value.reason) == (bundle, reason)


@pytest.mark.parametrize(
    ("fields", "names"), [({"trained_at": None}, "trained_at: is missing"), ({"colour": 1}, "colour: is not a key")]
)
def test_a_manifest_with_other_fields_is_refused_naming_them(fields: dict[str, Any], names: str, bundle: Path) -> None:
    rewrite(bundle, **fields)
    with pytest.raises(BundleError, match=f"manifest.json: {names}"):
        verify(bundle)


def test_a_bundle_under_another_version_s_name_is_refused(bundle: Path) -> None:
    version = bundle.name
    other = bundle.rename(bundle.with_name("v-other"))
    with pytest.raises(BundleError) as raised:
        verify(other)
    assert str(raised.value) == f"model v-other is refused: its manifest is that of version {version}"


def test_an_intact_bundle_tells_what_it_is_whatever_its_files_dates_are(bundle: Path) -> None:
    """Known failure 10: the model's age came from its file's modification time."""
    for path in bundle.iterdir():
        os.utime(path, (0, 0))
    manifest = verify(bundle)
    assert manifest.trained_at == WallTime(1_571_302_800.0)
    assert Manifest.read(bundle) == manifest
    assert (bundle / "manifest.json").read_bytes() == indented_json(stored.plain(manifest))
