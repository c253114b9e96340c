"""The champion as the running bot sees it: looked up between two candles, loaded only where it is intact."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Thread

from nightdesk_core.models.bundle import BundleError, Manifest
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry, RegistryError
from nightdesk_guard import profile

from nightdesk_trendbot.model import meta_model
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import SizingSettings, TrendbotSettings


class ChampionWatch:
    """Follows the registry's pointer. A model that is refused leaves the one in use where it is.

    So does one that has yet to stand its trial, which may take a minute: that goes on in a thread beside the loop.
    """

    def __init__(self, registry: ModelRegistry, settings: TrendbotSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._complained = ""
        self._settled = False
        self._trial: Thread | None = None
        self.champion: Champion | None = None
        self.deployment: Deployment | None = None

    def adopt(self, settings: TrendbotSettings) -> None:
        """Judge the champion by other settings at the next look; until then the model in use stays."""
        self._settings = settings
        self._settled = False

    @property
    def has_verdict(self) -> bool:
        """Return whether a trial has ended since the last look."""
        return self._trial is not None and not self._trial.is_alive()

    def look(self, *, patience_seconds: float = 0.0) -> bool:
        """Load the champion where it is another one than before; return whether anything changed.

        One that has yet to be tried is waited for so long at most; a later look finds what came of its trial.
        Raises `BundleError` or `RegistryError` once for each champion that cannot be loaded.
        """
        if self.has_verdict:
            self._trial = None
        try:
            champion = self._registry.champion()
            if champion is None or (champion == self.champion and self._settled):
                return False
            folder = self._tried(champion.version, patience_seconds)
            if folder is None:
                return False
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

    def _tried(self, version: str, patience_seconds: float) -> Path | None:
        """Return the folder of a bundle that stood its trial, `None` while the trial goes on; one at a time does."""
        folder = self._registry.loadable_now(version)
        if folder is not None:
            return folder
        if self._trial is None:
            # A daemon: a bot that is stopped does not wait for it, and its process ends by its own limit of time.
            self._trial = Thread(target=self._try, args=(version,), name=f"trial of {version}", daemon=True)
            self._trial.start()
        self._trial.join(patience_seconds)
        if self._trial.is_alive():
            return None
        self._trial = None
        return self._registry.loadable_now(version)

    def _try(self, version: str) -> None:
        # The registry keeps the verdict, and says it to the look that comes after.
        with suppress(BundleError):
            self._registry.loadable(version)


def size_share(champion: Champion, sizing: SizingSettings) -> float:
    """Return the share of its size at which a champion trades by its standing."""
    return sizing.provisional_share if champion.standing == "provisional" else 1.0
