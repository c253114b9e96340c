"""The champion as the running bot sees it: looked up between two candles, loaded only where it is intact."""

from __future__ import annotations

from nightdesk_core.bundle import BundleError, Manifest
from nightdesk_core.registry import Champion, ModelRegistry, RegistryError
from nightdesk_guard import profile

from nightdesk_trendbot.model import meta_model
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import SizingSettings, TrendbotSettings


class ChampionWatch:
    """Follows the registry's pointer. A model that is refused leaves the one in use where it is."""

    def __init__(self, registry: ModelRegistry, settings: TrendbotSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._complained = ""
        self._settled = False
        self.champion: Champion | None = None
        self.deployment: Deployment | None = None

    def adopt(self, settings: TrendbotSettings) -> None:
        """Judge the champion by other settings at the next look; until then the model in use stays."""
        self._settings = settings
        self._settled = False

    def look(self) -> bool:
        """Load the champion where it is another one than before; return whether anything changed.

        Raises `BundleError` or `RegistryError` once for each champion that cannot be loaded.
        """
        try:
            champion = self._registry.champion()
            if champion is None or (champion == self.champion and self._settled):
                return False
            folder = self._registry.loadable(champion.version)
            loaded = meta_model.load(folder, Manifest.read(folder))
            known = profile.read(folder)
            refusal = loaded.refusal(self._settings.entry)
            if refusal:
                raise BundleError(folder, refusal)
        except (BundleError, RegistryError) as error:
            if str(error) == self._complained:
                return False
            self._complained = str(error)
            raise
        share = size_share(champion, self._settings.sizing)
        self.champion = champion
        self._settled = True
        self.deployment = Deployment(loaded, share, champion.standing == "probation", known)
        self._complained = ""
        return True


def size_share(champion: Champion, sizing: SizingSettings) -> float:
    """Return the share of its size at which a champion trades by its standing."""
    return sizing.provisional_share if champion.standing == "provisional" else 1.0
