"""The champion that is taken back: which one takes its place, what is remembered of it, and who meddles meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.files.durable import locked
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.registry import ModelRegistry, RegistryError

from tests.core.conftest import publish


def three_champions(registry: ModelRegistry) -> list[str]:
    """Have three models be champions in turn, the last of them on probation; return their versions, oldest first."""
    versions = [publish(registry, content) for content in ("first", "second", "third")]
    before = None
    for version, standing in zip(versions, ("provisional", "champion", "probation"), strict=True):
        registry.promote(version, standing=standing, instead_of=before)  # type: ignore[arg-type]
        before = version
    return versions


def test_a_champion_that_stood_its_probation_is_one_for_good(registry: ModelRegistry) -> None:
    *_, third = three_champions(registry)
    before = registry.champion()
    assert before is not None
    assert registry.settle(third) == registry.champion() == replace(before, standing="champion")
    with pytest.raises(RegistryError, match=f"{third} is not on probation"):
        registry.settle(third)


def test_a_champion_that_is_taken_back_leaves_the_one_before_it_as_it_stood(registry: ModelRegistry) -> None:
    first, second, third = three_champions(registry)
    assert registry.predecessor() == (second, "champion")
    back = registry.roll_back(third, "it lost")
    assert back == registry.champion()
    assert (back.version, back.standing, back.previous) == (second, "champion", first)
    assert back.earlier == ((first, "provisional"),)
    assert back.rollback is not None
    assert (back.rollback.version, back.rollback.reason) == (third, "it lost")
    with pytest.raises(RegistryError, match=f"{third} is not the champion: there is nothing to roll back"):
        registry.roll_back(third, "again")
    again = registry.roll_back(second, "it lost as well")
    assert (again.version, again.standing, again.previous, again.earlier) == (first, "provisional", None, ())
    with pytest.raises(RegistryError, match=f"there is no intact champion before {first} that is not too old"):
        registry.roll_back(first, "all of them")


def test_what_was_taken_back_comes_back_by_no_later_rollback_and_is_remembered(registry: ModelRegistry) -> None:
    _, second, third = three_champions(registry)
    registry.roll_back(third, "it lost")
    fourth = publish(registry, "fourth")
    champion = registry.promote(fourth, standing="probation", instead_of=second)
    assert third not in [version for version, _ in champion.earlier]
    assert champion.rollback is not None
    assert champion.rollback.version == third


def test_a_rollback_passes_over_what_is_damaged_or_too_old(registry: ModelRegistry) -> None:
    first, second, third = three_champions(registry)
    (registry.folder / second / "model.txt").write_text("changed")
    assert registry.predecessor() == (first, "provisional")
    assert registry.predecessor(trained_after=WallTime(1_571_302_800.0)) is None
    with pytest.raises(RegistryError, match="not too old"):
        registry.roll_back(third, "it lost", trained_after=WallTime(1_571_302_800.0))
    assert registry.roll_back(third, "it lost").version == first


class Meddling:
    """A trial during which somebody else does something, once."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self.meddle: Callable[[], object] | None = meddle

    def __call__(self, _bundle: Path) -> None:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()

    def remembered(self, _bundle: Path) -> str | None:
        return None


def meddled(registry: ModelRegistry, meddle: Callable[[], object]) -> ModelRegistry:
    return ModelRegistry(registry.folder, trial=Meddling(meddle))


@pytest.mark.parametrize("named", [False, True])
def test_nobody_waits_for_the_registry_while_a_rollback_tries_a_bundle(named: bool, registry: ModelRegistry) -> None:
    _, second, third = three_champions(registry)
    lock = registry.folder / ".lock"

    def take_the_lock() -> None:
        with locked(lock, timeout_seconds=0):
            pass

    assert meddled(registry, take_the_lock).roll_back(third, "it lost", to=second if named else None).version == second


def test_who_asks_for_a_predecessor_waits_for_no_trial(registry: ModelRegistry) -> None:
    _, second, _ = three_champions(registry)
    tried: list[str] = []
    assert meddled(registry, lambda: tried.append("tried")).predecessor() is None
    assert not tried
    assert registry.predecessor() == (second, "champion")


def test_a_rollback_chooses_anew_where_the_pointer_or_the_bundle_went_while_it_was_tried(
    registry: ModelRegistry,
) -> None:
    first, second, third = three_champions(registry)
    settled = meddled(registry, lambda: registry.settle(third)).roll_back(third, "it lost")
    assert settled.version == second
    registry.promote(third, standing="probation", instead_of=second)
    gone = meddled(registry, lambda: shutil.rmtree(registry.folder / second)).roll_back(third, "it lost")
    assert (gone.version, registry.champion()) == (first, gone)


def test_a_rollback_undoes_no_promotion_that_came_while_it_was_tried(registry: ModelRegistry) -> None:
    _, _, third = three_champions(registry)
    fourth = publish(registry, "fourth")
    promoting = meddled(registry, lambda: registry.promote(fourth, standing="probation", instead_of=third))
    with pytest.raises(RegistryError, match="nothing to roll back"):
        promoting.roll_back(third, "it lost")
    champion = registry.champion()
    assert champion is not None
    assert champion.version == fourth


def test_a_bundle_that_is_removed_while_it_is_tried_is_not_promoted(registry: ModelRegistry) -> None:
    *_, third = three_champions(registry)
    fourth = publish(registry, "fourth")
    with pytest.raises(BundleError, match="no such bundle"):
        meddled(registry, lambda: registry.remove([fourth])).promote(fourth, standing="champion", instead_of=third)
    champion = registry.champion()
    assert champion is not None
    assert champion.version == third


def test_a_person_may_name_the_one_to_go_back_to(registry: ModelRegistry) -> None:
    first, second, third = three_champions(registry)
    never = publish(registry, "never promoted")
    with pytest.raises(BundleError):
        registry.roll_back(third, "a typo", to="v9")
    back = registry.roll_back(third, "I like that one", to=never)
    assert (back.version, back.standing) == (never, "provisional")
    assert [version for version, _ in back.earlier] == [second, first]
    assert registry.roll_back(never, "back to the roots", to=first).earlier == ()


@pytest.mark.parametrize("damage", ['"earlier": [["v1"]]', '"earlier": [["v1", "boss"]]', '"rollback": {"at": 1}'])
def test_a_pointer_whose_history_is_damaged_is_damaged(damage: str, registry: ModelRegistry) -> None:
    three_champions(registry)
    pointer = registry.folder / "champion.json"
    pointer.write_text('{"version": "v1", "standing": "champion", "promoted_at": 1, "previous": null, ' + damage + "}")
    with pytest.raises(RegistryError, match="names no champion"):
        registry.champion()
