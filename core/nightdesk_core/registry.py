"""The model registry: immutable bundles, and one pointer file that names the champion."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from nightdesk_core.bundle import FORMAT, MANIFEST, BundleError, Manifest, verify
from nightdesk_core.clock import WallClock, system_clock, utc
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import locked, sync_folder, write_json_atomic

Standing = Literal["provisional", "probation", "champion"]
_POINTER = "champion.json"
_STAGING = ".staging-"
_LOCK_SECONDS = 10.0


class RegistryError(NightdeskError):
    """The registry cannot do what was asked."""


@dataclass(frozen=True)
class Champion:
    """The pointer: which version trades, since when (wall time), in what standing, and which one was before it."""

    version: str
    standing: Standing
    promoted_at: float
    previous: str | None


class ModelRegistry:
    """Reads and writes `models/`. Every write is under one lock and ends in an atomic rename."""

    def __init__(self, folder: Path, *, clock: WallClock = system_clock) -> None:
        self.folder = folder
        self._clock = clock
        self._lock_path = folder / ".lock"

    def stage(self, files: Mapping[str, bytes]) -> Path:
        """Write `files` into a new staging folder that no reader lists, and return it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        for name in sorted(files):
            digest.update(name.encode() + b"\0" + files[name])
        version = f"v{utc(self._clock()):%Y%m%dT%H%M%SZ}-{digest.hexdigest()[:8]}"
        if (self.folder / version).exists():
            raise RegistryError(f"{version} exists already: the same model was published in this very second")
        folder = self.folder / f"{_STAGING}{version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            _write_durably(folder / name, content)
        return folder

    def add_to_stage(self, staged: Path, files: Mapping[str, bytes]) -> None:
        """Add files, such as the evaluation of the model already in `staged`."""
        for name, content in files.items():
            _write_durably(staged / name, content)

    def publish(
        self,
        staged: Path,
        *,
        strategy: str,
        train_start: float,
        train_end: float,
        last_label_end: float,
        data_end: float,
        data_fingerprint: str,
    ) -> Manifest:
        """Turn a staged folder into a bundle and return its manifest; from here on it is immutable and listed."""
        version = staged_version(staged)
        manifest = Manifest(
            version=version,
            format=FORMAT,
            strategy=strategy,
            trained_at=self._clock(),
            train_start=train_start,
            train_end=train_end,
            last_label_end=last_label_end,
            data_end=data_end,
            data_fingerprint=data_fingerprint,
            files={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(staged.iterdir())},
        )
        _write_durably(staged / MANIFEST, manifest.to_json())
        sync_folder(staged)
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            staged.rename(self.folder / version)
            sync_folder(self.folder)
        return manifest

    def sweep(self) -> int:
        """Remove staging folders that a killed job left behind and return how many. Only the job calls this."""
        leftovers = list(self.folder.glob(f"{_STAGING}*"))
        for folder in leftovers:
            shutil.rmtree(folder)
        return len(leftovers)

    def bundle(self, version: str) -> Path:
        """Return the folder of an intact bundle. Raises `BundleError` with the reason where it must not be loaded."""
        folder = self.folder / version
        if not folder.is_dir():
            raise BundleError(folder, "there is no such bundle")
        verify(folder)
        return folder

    def manifests(self) -> list[Manifest]:
        """Return the manifest of every listed bundle, oldest first; a bundle whose manifest is damaged is left out."""
        found = []
        for folder in sorted(self.folder.glob("v*")):
            try:
                found.append(Manifest.read(folder))
            except BundleError:
                continue
        return found

    def champion(self) -> Champion | None:
        """Return the pointer, `None` where no model was promoted yet. Raises `RegistryError` where it is damaged."""
        path = self.folder / _POINTER
        try:
            champion = Champion(**json.loads(path.read_text(encoding="utf-8")))
            if not isinstance(champion.version, str) or champion.standing not in get_args(Standing):
                raise ValueError(f"{champion.version!r} in standing {champion.standing!r}")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise RegistryError(
                f"{path} names no champion ({error}); move it aside and run `nightdesk retrain --bootstrap`"
            ) from error
        return champion

    def promote(self, version: str, *, standing: Standing, instead_of: str | None) -> Champion:
        """Point at `version` and return the new pointer.

        Raises `BundleError` where the bundle is not intact, and `RegistryError` where the champion is no longer
        `instead_of`: somebody else moved the pointer while the caller was deciding.
        """
        self.bundle(version)
        with locked(self._lock_path, timeout_seconds=_LOCK_SECONDS):
            current = self.champion()
            current_version = None if current is None else current.version
            if current_version != instead_of:
                raise RegistryError(f"the champion is {current_version}, not {instead_of}: decide again")
            champion = Champion(version, standing, self._clock(), current_version)
            write_json_atomic(self.folder / _POINTER, asdict(champion))
        return champion


def staged_version(staged: Path) -> str:
    """Return the version that a staged folder will have as a bundle."""
    return staged.name.removeprefix(_STAGING)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
