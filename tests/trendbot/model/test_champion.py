"""The champion watch: the model in use stays where its successor is refused."""

from __future__ import annotations

import pytest
from nightdesk_core.clock import WallTime
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry, RegistryError
from nightdesk_guard import GuardLimits, GuardProfile
from nightdesk_guard.limits import TierLimits
from nightdesk_trendbot.model.champion import ChampionWatch, size_share
from nightdesk_trendbot.model.meta_model import MetaModel
from nightdesk_trendbot.settings import EntrySettings, SizingSettings, TrendbotSettings

from tests.trendbot.conftest import publish


@pytest.fixture
def watch(registry: ModelRegistry) -> ChampionWatch:
    return ChampionWatch(registry, TrendbotSettings())


def version_in_use(watch: ChampionWatch) -> str | None:
    return None if watch.deployment is None else watch.deployment.model.version


def test_without_a_champion_there_is_no_model_and_no_complaint(watch: ChampionWatch) -> None:
    assert watch.look() is False
    assert (watch.champion, watch.deployment) == (None, None)


def test_a_champion_is_loaded_once_and_a_new_one_after_it(
    watch: ChampionWatch, registry: ModelRegistry, model: MetaModel
) -> None:
    first = publish(registry, model)
    registry.promote(first, standing="provisional", instead_of=None)
    assert [watch.look(), watch.look()] == [True, False]
    assert version_in_use(watch) == first
    assert watch.deployment is not None
    assert watch.deployment.size_share == 0.25
    second = publish(registry, model, note=b"another")
    registry.promote(second, standing="champion", instead_of=first)
    assert [watch.look(), watch.look()] == [True, False]
    assert version_in_use(watch) == second
    assert watch.deployment.size_share == 1.0


def test_a_change_of_standing_alone_changes_the_size(
    watch: ChampionWatch, registry: ModelRegistry, model: MetaModel
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="provisional", instead_of=None)
    watch.look()
    registry.promote(version, standing="champion", instead_of=version)
    assert watch.look() is True
    assert watch.deployment is not None
    assert watch.deployment.size_share == 1.0


def test_a_new_champion_that_is_refused_leaves_the_model_in_use_and_is_named_once(
    watch: ChampionWatch, registry: ModelRegistry, model: MetaModel
) -> None:
    first, second = publish(registry, model), publish(registry, model, note=b"another")
    registry.promote(first, standing="champion", instead_of=None)
    watch.look()
    registry.promote(second, standing="champion", instead_of=first)
    damaged = registry.folder / second / "linear.json"
    intact = damaged.read_bytes()
    damaged.write_bytes(intact + b" ")
    with pytest.raises(BundleError, match=r"linear\.json was changed"):
        watch.look()
    assert watch.look() is False
    assert version_in_use(watch) == first
    assert watch.champion is not None
    assert watch.champion.version == first
    damaged.write_bytes(intact)
    assert watch.look() is True
    assert version_in_use(watch) == second


def test_a_damaged_pointer_leaves_the_model_in_use(
    watch: ChampionWatch, registry: ModelRegistry, model: MetaModel
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    watch.look()
    (registry.folder / "champion.json").write_text("{")
    with pytest.raises(RegistryError, match="names no champion"):
        watch.look()
    assert watch.look() is False
    assert version_in_use(watch) == version


def test_a_pointer_that_vanished_leaves_the_model_in_use(
    watch: ChampionWatch, registry: ModelRegistry, model: MetaModel
) -> None:
    version = publish(registry, model)
    registry.promote(version, standing="champion", instead_of=None)
    watch.look()
    (registry.folder / "champion.json").unlink()
    assert watch.look() is False
    assert version_in_use(watch) == version


def test_a_champion_whose_probabilities_do_not_reach_the_threshold_is_refused(
    registry: ModelRegistry, model: MetaModel
) -> None:
    registry.promote(publish(registry, model), standing="champion", instead_of=None)
    entry = EntrySettings(threshold_mode="probability", threshold=0.95)
    with pytest.raises(BundleError, match=r"a probability of 0\.95 is reached by 0 of"):
        ChampionWatch(registry, TrendbotSettings(entry=entry)).look()


def test_only_a_provisional_champion_trades_small() -> None:
    sizing = SizingSettings(provisional_share=0.3)
    shares = {
        standing: size_share(Champion("v1", standing, WallTime(0.0), None), sizing)
        for standing in ("provisional", "probation", "champion")
    }
    assert shares == {"provisional": 0.3, "probation": 1.0, "champion": 1.0}


def test_the_guard_s_profile_comes_with_its_model_and_a_damaged_one_keeps_the_model_out(
    watch: ChampionWatch, registry: ModelRegistry, model: MetaModel
) -> None:
    tier = TierLimits(losing_streak=12)
    profile = GuardProfile(GuardLimits("calibrated", tier, tier), None)
    first = publish(registry, model, **{"guard.json": profile.to_json()})
    registry.promote(first, standing="champion", instead_of=None)
    watch.look()
    assert watch.deployment is not None
    assert watch.deployment.profile == profile
    second = publish(registry, model, **{"guard.json": b'{"limits": 5}'})
    registry.promote(second, standing="champion", instead_of=first)
    with pytest.raises(BundleError, match=r"guard\.json is damaged \(limits"):
        watch.look()
    assert version_in_use(watch) == first
