"""The model registry: immutable bundles, and one pointer file that names the champion."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from nightdesk_core.clock import MarketTime, WallClock, WallTime, system_clock, utc
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.durable import indented_json, locked, sync_folder, write_json_atomic
from nightdesk_core.files.permissions import make_folder, open_file
from nightdesk_core.files.reader import InputError, MissingInputError, sha256_of
from nightdesk_core.models.bundle import (
    FORMAT,
    MANIFEST,
    STAGING,
    BundleError,
    Manifest,
    is_version,
    no_version,
    verify,
    version_of,
)
from nightdesk_core.models.champion import Champion, Rollback, Standing

_POINTER = "champion.json"
_LOCK_SECONDS = 10.0
_EARLIER_KEPT = 20


class RegistryError(NightdeskError):
    """The registry cannot do what was asked."""


class BundleCheck(Protocol):
    """Loads intact bundles where it can do no harm, and keeps what came of it."""

    def __call__(self, bundle: Path, /) -> None:
        """Return where a bundle can be loaded, which may take a minute. Raises `BundleError` where it cannot."""

    def remembered(self, bundle: Path, /) -> str | None:
        """Return why a bundle cannot be loaded, empty where it can, and `None` where that is not known yet."""


class ModelRegistry:
    """Reads and writes `models/`. Every write is under one lock and ends in an atomic rename."""

    def __init__(
        self, folder: Path | str, *, clock: WallClock = system_clock, trial: BundleCheck | None = None
    ) -> None:
        self.folder = folder = Path(folder)
        self._trial = trial
        self._clock = clock
        self._lock_path = folder / ".lock"

    def stage(self, files: Mapping[str, bytes]) -> Path:
        """Write `files` into a new staging folder that no reader lists, and return it."""
        make_folder(self.folder)
        digest = hashlib.sha256()
        for name in sorted(files):
            digest.update(name.encode() + b"\0" + files[name])
        version = f"v{utc(self._clock()):%Y%m%dT%H%M%SZ}-{digest.hexdigest()[:8]}"
        if (self.folder / version).exists():
            raise RegistryError(f"{version} exists already: the same model was published in this very second")
        folder = self.folder / f"{STAGING}{version}"
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        for name, content in files.items():
            _write_durably(folder / name, content)
        return folder

    def add_to_stage(self, staged: Path, files: Mapping[str, bytes]) -> None:
        """Add files, such as the evaluation of the model already in `staged`."""
        for name, content in files.items():
            _write_durably(staged / name, content)

    def seal(
        self,
        staged: Path,
        *,
        strategy: str,
        train_start: MarketTime,
        train_end: MarketTime,
        last_label_end: MarketTime,
        data_end: MarketTime,
        data_fingerprint: str,
    ) -> Path:
        """Write the manifest of a staged folder, and return the folder: it holds a whole bundle, still unlisted."""
        manifest = Manifest(
            version=version_of(staged),
            format=FORMAT,
            strategy=strategy,
            trained_at=self._clock(),
            train_start=train_start,
            train_end=train_end,
            last_label_end=last_label_end,
            data_end=data_end,
            data_fingerprint=data_fingerprint,
            files={path.name: sha256_of(path) for path in sorted(staged.iterdir())},
        )
        _write_durably(staged / MANIFEST, indented_json(stored.plain(manifest)))
        sync_folder(staged)
        return staged

    def publish(self, sealed: Path) -> Manifest:
        """List a sealed folder as a bundle and return its manifest; from here on it is immutable.

        Raises `BundleError`, and lists nothing, where the folder is not what was sealed.
        """
        manifest = verify(sealed)
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            sealed.rename(self.folder / manifest.version)
            sync_folder(self.folder)
        return manifest

    def sweep(self) -> int:
        """Remove staging folders that a killed job left behind and return how many. Only the job calls this."""
        leftovers = list(self.folder.glob(f"{STAGING}*"))
        for folder in leftovers:
            shutil.rmtree(folder)
        return len(leftovers)

    def folder_of(self, version: str) -> Path:
        """Return the folder of a listed bundle. Raises `BundleError` where there is none of that name in here."""
        folder = self.folder / version
        if not is_version(version):
            raise BundleError(folder, no_version(version))
        if folder.is_symlink():
            raise BundleError(folder, "is a symbolic link: bundles lie in the registry itself; copy it there")
        if not folder.is_dir():
            raise BundleError(folder, "there is no such bundle")
        return folder

    def bundle(self, version: str) -> Path:
        """Return the folder of an intact bundle. Raises `BundleError` with the reason where it must not be loaded."""
        folder = self.folder_of(version)
        verify(folder)
        return folder

    def loadable(self, version: str) -> Path:
        """Return the folder of a bundle that is intact and has stood its trial. Raises `BundleError` with the reason.

        Whoever loads a model, or points at one that others load, asks here: one whose hashes fit may still be broken in
        a way that ends the process that loads it.
        """
        folder = self.bundle(version)
        if self._trial is not None:
            self._trial(folder)
        return folder

    def loadable_now(self, version: str) -> Path | None:
        """Return what `loadable` does, but never wait for a trial: `None` where the bundle has yet to stand its own."""
        folder = self.bundle(version)
        reason = "" if self._trial is None else self._trial.remembered(folder)
        if reason:
            raise BundleError(folder, reason)
        return None if reason is None else folder

    def manifests(self) -> list[Manifest]:
        """Return the manifest of every listed bundle, oldest first; a bundle whose manifest is damaged is left out."""
        found = []
        for version in self.versions():
            with suppress(BundleError):
                found.append(Manifest.read(self.folder / version))
        return found

    def versions(self) -> list[str]:
        """Return the name of every listed bundle, oldest first, also of those that are damaged."""
        return sorted(
            folder.name
            for folder in self.folder.glob("v*")
            if is_version(folder.name) and folder.is_dir() and not folder.is_symlink()
        )

    def superfluous(self, *, keep: int, younger_than_seconds: float) -> list[str]:
        """Return which bundles are no longer worth their place, oldest first.

        Those beyond the newest `keep` that are not younger than so many seconds (wall time); never the champion, nor
        the one before it. A bundle whose manifest is damaged stays for a person to look at.
        """
        champion = self.champion()
        needed = set() if champion is None else {champion.version, champion.previous}
        manifests = self.manifests()
        now = self._clock()
        return [
            manifest.version
            for manifest in manifests[: max(0, len(manifests) - keep)]
            if manifest.version not in needed and now - manifest.trained_at >= younger_than_seconds
        ]

    def remove(self, versions: Sequence[str]) -> None:
        """Remove bundles. Raises `RegistryError`, and removes none, where the champion or the one before is among them.

        Each leaves the list in one rename before its files go: killed in between, no half bundle is listed.
        """
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            champion = self.champion()
            for version in versions:
                self.folder_of(version)
                if champion is not None and version in (champion.version, champion.previous):
                    raise RegistryError(f"{version} is the champion or the one before it, and stays")
            for version in versions:
                gone = self.folder / f"{STAGING}{version}"
                (self.folder / version).rename(gone)
                sync_folder(self.folder)
                shutil.rmtree(gone)

    def champion(self) -> Champion | None:
        """Return the pointer, `None` where no model was promoted yet. Raises `RegistryError` where it is damaged."""
        path = self.folder / _POINTER
        try:
            return stored.read(Champion, path)
        except MissingInputError:
            return None
        except InputError as error:
            raise RegistryError(
                f"{path} names no champion ({error.reason}); move it aside and run `nightdesk retrain --bootstrap`"
            ) from error

    def promote(self, version: str, *, standing: Standing, instead_of: str | None) -> Champion:
        """Point at `version` and return the new pointer.

        Raises `BundleError` where the bundle is not `loadable`, and `RegistryError` where the champion is no longer
        `instead_of`: somebody else moved the pointer while the caller was deciding.
        """
        self.loadable(version)
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            current = self.champion()
            current_version = None if current is None else current.version
            if current_version != instead_of:
                raise RegistryError(f"the champion is {current_version}, not {instead_of}: decide again")
            self.bundle(version)  # it may have been removed while it was tried
            champion = Champion(
                version,
                standing,
                self._clock(),
                current_version,
                () if current is None else current.with_earlier[:_EARLIER_KEPT],
                None if current is None else current.rollback,
            )
            write_json_atomic(self.folder / _POINTER, stored.plain(champion))
        return champion

    def settle(self, version: str) -> Champion:
        """Let a champion that stood its probation be one for good, and return the pointer.

        Raises `RegistryError` where `version` is not the champion on probation (any more).
        """
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            current = self.champion()
            if current is None or (current.version, current.standing) != (version, "probation"):
                raise RegistryError(f"{version} is not on probation")
            champion = replace(current, standing="champion")
            write_json_atomic(self.folder / _POINTER, stored.plain(champion))
        return champion

    def predecessor(self, *, trained_after: WallTime = WallTime(0.0)) -> tuple[str, Standing] | None:
        """Return the last champion before this one that is `loadable_now` and was trained after a time.

        `None` for none. The running bot asks: it cannot wait for a trial, and counts on no bundle that has yet to
        stand its own.
        """
        current = self.champion()
        return None if current is None else self._fit(current.earlier, trained_after, self.loadable_now)

    def roll_back(
        self, version: str, reason: str, *, trained_after: WallTime = WallTime(0.0), to: str | None = None
    ) -> Champion:
        """Take a champion back, and return the pointer to the one before it; `to` names an earlier one instead.

        It must be `loadable`, and trained after a time. Raises `RegistryError` where there is none, or `version` is
        not the champion (any more), and `BundleError` where the one that is named must not be loaded.
        """
        while True:
            current = self.champion()
            if current is None or current.version != version:
                raise RegistryError(f"{version} is not the champion: there is nothing to roll back")
            # Trials take up to a minute each: nobody is kept from the registry for so long.
            chosen = self._successor(current, trained_after, to)
            with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS), suppress(BundleError):
                self.bundle(chosen[0])
                if self.champion() == current:
                    champion = self._taken_back(current, chosen, reason)
                    write_json_atomic(self.folder / _POINTER, stored.plain(champion))
                    return champion
            # Somebody moved the pointer or removed the bundle meanwhile: it is chosen anew.

    def _successor(self, current: Champion, trained_after: WallTime, to: str | None) -> tuple[str, Standing]:
        earlier = [found for found in current.earlier if to in (None, found[0])]
        if to is not None:
            self.loadable(to)
            # A bundle that never was champion was never trusted with money either: it begins as provisional.
            earlier = earlier or [(to, "provisional")]
        chosen = self._fit(earlier, trained_after, self.loadable)
        if chosen is None:
            raise RegistryError(f"there is no intact champion before {current.version} that is not too old")
        return chosen

    def _taken_back(self, current: Champion, chosen: tuple[str, Standing], reason: str) -> Champion:
        rest = tuple(found for found in current.earlier if found[0] != chosen[0])
        if chosen in current.earlier:
            rest = current.earlier[current.earlier.index(chosen) + 1 :]
        before = rest[0][0] if rest else None
        since, rollback = self._clock(), Rollback(self._clock(), current.version, reason)
        return Champion(chosen[0], chosen[1], since, before, rest, rollback)

    def _fit(
        self,
        candidates: Sequence[tuple[str, Standing]],
        trained_after: WallTime,
        loadable: Callable[[str], Path | None],
    ) -> tuple[str, Standing] | None:
        for version, standing in candidates:
            try:
                folder = loadable(version)
                if folder is not None and Manifest.read(folder).trained_at > trained_after:
                    return version, standing
            except BundleError:
                continue
        return None


def _write_durably(path: Path, content: bytes) -> None:
    with os.fdopen(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
