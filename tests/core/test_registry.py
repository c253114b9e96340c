"""The registry: nothing half-made is listed, and the pointer always names a bundle that can be loaded."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.models.bundle import BundleError, verify, version_of
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry, RegistryError

from tests.core.conftest import Start, line_of, publish, wait_for_exit
from tests.odd_files import ODD_FILES, at_most

ROTATE = """
import itertools, sys
from pathlib import Path
from nightdesk_core.clock import MarketTime
from nightdesk_core.models.registry import ModelRegistry
def rotate(registry, number):
    before = registry.champion()
    staged = registry.stage({"model.txt": f"{sys.argv[2]} {number}".encode() * 500, "linear.json": b"{}"})
    manifest = registry.publish(registry.seal(
        staged, strategy="t:T", train_start=MarketTime(0), train_end=MarketTime(1), last_label_end=MarketTime(1),
        data_end=MarketTime(2), data_fingerprint=""
    ))
    registry.promote(manifest.version, standing="champion", instead_of=before and before.version)
folder = Path(sys.argv[1])
# Elsewhere first: what is killed is to be a rotation, not the loading of what reads records.
rotate(ModelRegistry(folder / "rehearsal" / sys.argv[2]), 0)
registry = ModelRegistry(folder / "models")
print("ready", flush=True)
for number in itertools.count():
    rotate(registry, number)
"""


def test_a_version_says_when_it_was_made_and_of_what(registry: ModelRegistry) -> None:
    version = publish(registry, "a model")
    assert version.startswith("v20191017T090000Z-")
    other = publish(registry, "another")
    assert other != version
    assert [manifest.version for manifest in registry.manifests()] == sorted([version, other])


def test_what_is_staged_is_not_listed_and_cannot_be_promoted(registry: ModelRegistry) -> None:
    staged = registry.stage({"model.txt": b"a model"})
    assert registry.manifests() == []
    version = version_of(staged)
    with pytest.raises(BundleError) as raised:
        registry.promote(version, standing="champion", instead_of=None)
    assert str(raised.value) == f"model {version} is refused: there is no such bundle"
    assert registry.champion() is None


def test_the_manifest_covers_what_was_added_to_the_stage(registry: ModelRegistry) -> None:
    staged = registry.stage({"model.txt": b"a model"})
    registry.add_to_stage(staged, {"evaluation.json": b"{}"})
    manifest = registry.publish(
        registry.seal(
            staged,
            strategy="t:T",
            train_start=MarketTime(0),
            train_end=MarketTime(1),
            last_label_end=MarketTime(1),
            data_end=MarketTime(2),
            data_fingerprint="",
        )
    )
    assert set(manifest.files) == {"model.txt", "evaluation.json"}
    assert verify(registry.folder / manifest.version) == manifest


def test_the_sweep_removes_what_a_killed_job_staged_and_nothing_else(registry: ModelRegistry) -> None:
    version = publish(registry, "a model")
    registry.stage({"model.txt": b"left behind"})
    assert registry.sweep() == 1
    assert registry.sweep() == 0
    assert [manifest.version for manifest in registry.manifests()] == [version]


def test_a_bundle_whose_manifest_is_damaged_is_not_listed(registry: ModelRegistry) -> None:
    version = publish(registry, "a model")
    (registry.folder / publish(registry, "another") / "manifest.json").write_text("{")
    assert [manifest.version for manifest in registry.manifests()] == [version]


def test_the_pointer_names_the_version_before_it(registry: ModelRegistry) -> None:
    first, second = publish(registry, "first"), publish(registry, "second")
    assert registry.champion() is None
    assert registry.promote(first, standing="provisional", instead_of=None) == Champion(
        first, "provisional", WallTime(1_571_302_800.0), None
    )
    promoted = registry.promote(second, standing="champion", instead_of=first)
    assert (
        promoted
        == registry.champion()
        == Champion(second, "champion", WallTime(1_571_302_800.0), first, ((first, "provisional"),))
    )


def test_a_promotion_is_refused_where_the_pointer_moved_meanwhile(registry: ModelRegistry) -> None:
    first, second, third = (publish(registry, content) for content in ("first", "second", "third"))
    registry.promote(first, standing="champion", instead_of=None)
    registry.promote(second, standing="champion", instead_of=first)
    with pytest.raises(RegistryError) as raised:
        registry.promote(third, standing="champion", instead_of=first)
    assert str(raised.value) == f"the champion is {second}, not {first}: decide again"
    with pytest.raises(RegistryError) as raised:
        registry.promote(third, standing="champion", instead_of=None)
    assert str(raised.value) == f"the champion is {second}, not None: decide again"
    champion = registry.champion()
    assert champion is not None
    assert champion.version == second


def test_a_damaged_bundle_is_not_promoted(registry: ModelRegistry) -> None:
    version = publish(registry, "a model")
    (registry.folder / version / "model.txt").write_text("changed")
    with pytest.raises(BundleError, match=r"model\.txt was changed"):
        registry.promote(version, standing="champion", instead_of=None)
    assert registry.champion() is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"version": 5, "standing": "champion", "promoted_at": 1, "previous": null}',
        '{"version": "v1", "standing": "boss", "promoted_at": 1, "previous": null}',
    ],
)
def test_a_damaged_pointer_names_no_champion_and_says_what_to_do(content: str, registry: ModelRegistry) -> None:
    version = publish(registry, "a model")
    pointer = registry.folder / "champion.json"
    pointer.write_text(content)
    with pytest.raises(RegistryError) as raised:
        registry.champion()
    assert str(raised.value).startswith(f"{pointer} names no champion (")
    assert str(raised.value).endswith("); move it aside and run `nightdesk retrain --bootstrap`")
    pointer.rename(pointer.with_suffix(".aside"))
    assert registry.promote(version, standing="provisional", instead_of=None).version == version


def test_the_pointer_is_one_small_file_that_a_person_can_read(registry: ModelRegistry) -> None:
    version = publish(registry, "a model")
    registry.promote(version, standing="probation", instead_of=None)
    assert json.loads((registry.folder / "champion.json").read_text()) == {
        "version": version,
        "standing": "probation",
        "promoted_at": 1_571_302_800.0,
        "previous": None,
        "earlier": [],
        "rollback": None,
    }


def test_a_kill_at_any_point_of_a_rotation_leaves_a_champion_that_can_be_loaded(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "models"
    registry = ModelRegistry(folder)
    moments = random.Random(7)
    promoted = 0
    for life in range(8):
        process = start(ROTATE, tmp_path, life)
        assert line_of(process) == "ready"
        time.sleep(moments.uniform(0.0, 0.15))  # the moment of the kill is what is tested
        process.send_signal(signal.SIGKILL)
        wait_for_exit(process)
        for manifest in registry.manifests():
            assert verify(folder / manifest.version) == manifest
        assert not [path for path in folder.glob("v*") if not (path / "manifest.json").exists()]
        champion = registry.champion()
        if champion is not None:
            registry.bundle(champion.version)
            promoted += 1
            if champion.previous is not None:
                registry.bundle(champion.previous)
        registry.sweep()
        assert not list(folder.glob(".staging-*"))
    assert promoted >= 4


def test_old_bundles_go_and_neither_champion_nor_the_one_before_it_ever(tmp_path: Path) -> None:
    now = 1_571_302_800.0
    registry = ModelRegistry(tmp_path, clock=lambda: WallTime(now))
    versions = []
    for number in range(6):
        versions.append(publish(registry, f"model {number}"))
        now += 86_400
    assert registry.versions() == versions
    registry.promote(versions[0], standing="champion", instead_of=None)
    registry.promote(versions[2], standing="champion", instead_of=versions[0])
    assert registry.superfluous(keep=2, younger_than_seconds=0) == [versions[1], versions[3]]
    assert registry.superfluous(keep=1, younger_than_seconds=4 * 86_400) == [versions[1]]
    assert registry.superfluous(keep=6, younger_than_seconds=0) == []
    with pytest.raises(RegistryError, match=f"{versions[0]} is the champion or the one before it, and stays"):
        registry.remove([versions[1], versions[0]])
    assert registry.versions() == versions, "none of them was removed"
    registry.remove([versions[1], versions[3]])
    assert registry.versions() == [versions[0], versions[2], versions[4], versions[5]]
    assert registry.sweep() == 0


def test_a_bundle_whose_removal_was_interrupted_is_not_listed_and_swept_later(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish(registry, "a model")
    monkeypatch.setattr(shutil, "rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        registry.remove([version])
    monkeypatch.undo()
    assert registry.versions() == []
    assert registry.sweep() == 1


@pytest.mark.parametrize(
    "name",
    ["../evil/v", "v1/../../evil", "/etc", "..", ".", "", "v", ".staging-v1", "v1\0", "v1\n", "v" * 200],
)
def test_a_name_that_leads_out_of_the_registry_names_no_model(
    name: str, registry: ModelRegistry, tmp_path: Path
) -> None:
    (tmp_path / "evil" / "v").mkdir(parents=True)
    version = publish(registry, "a model")
    with pytest.raises(BundleError, match="no version's name"):
        registry.bundle(name)
    with pytest.raises(BundleError, match="no version's name"):
        registry.promote(name, standing="champion", instead_of=None)
    with pytest.raises(BundleError, match="no version's name"):
        registry.remove([name])
    registry.promote(version, standing="champion", instead_of=None)
    pointer = registry.folder / "champion.json"
    said = json.loads(pointer.read_text())
    for change in (
        {"version": name},
        {"previous": name},
        {"earlier": [[name, "champion"]]},
        {"rollback": {"at": 1.0, "version": name, "reason": "x"}},
    ):
        pointer.write_text(json.dumps(said | change))
        with pytest.raises(RegistryError, match="no version's name"):
            registry.champion()


def test_a_bundle_that_is_a_symbolic_link_is_none(registry: ModelRegistry, tmp_path: Path) -> None:
    version = publish(registry, "a model")
    (registry.folder / version).rename(tmp_path / version)
    (registry.folder / version).symlink_to(tmp_path / version)
    assert registry.versions() == []
    with pytest.raises(BundleError, match="is a symbolic link: bundles lie in the registry itself"):
        registry.bundle(version)


@pytest.mark.parametrize("name", ["model.txt", "manifest.json"])
def test_a_file_of_a_bundle_that_is_a_symbolic_link_is_refused(
    name: str, registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = registry.folder / publish(registry, "a model")
    file = folder / name
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="is a symbolic link: what it leads to can change unseen"):
        registry.bundle(folder.name)


@pytest.mark.parametrize("kind", ODD_FILES)
def test_whatever_lies_there_for_the_pointer_names_no_champion_at_once(kind: str, registry: ModelRegistry) -> None:
    registry.folder.mkdir(parents=True)
    ODD_FILES[kind](registry.folder / "champion.json")
    with at_most(5), pytest.raises(RegistryError, match="names no champion"):
        registry.champion()
