"""A model bundle: an immutable folder `models/<version>/` whose manifest holds the SHA-256 of every other file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, sha256_of
from nightdesk_core.files.stored import StoredError

FORMAT = 1
MANIFEST = "manifest.json"
STAGING = ".staging-"
"""Begins the name of a folder that is not listed: one that is still being written, or being removed."""
_VERSION = re.compile(r"v[0-9A-Za-z][0-9A-Za-z._-]{0,99}")


class BundleError(NightdeskError):
    """The bundle in `folder` must not be loaded: `reason` says why."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder = folder
        self.reason = reason
        super().__init__(f"model {version_of(folder)} is refused: {reason}")


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    version: str
    format: int
    strategy: str
    """The pipeline that made it, as `module:Class`."""
    trained_at: WallTime
    """When training ended."""
    train_start: MarketTime
    train_end: MarketTime
    """Where the training window ends."""
    last_label_end: MarketTime
    """The last bar that training, calibration or weight selection has seen through a label."""
    data_end: MarketTime
    """The last bar that was collected, hold-out included."""
    data_fingerprint: str
    files: Mapping[str, str]
    """SHA-256 of every file by its name."""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest in `folder`. Raises `BundleError` where it is absent, damaged or of a newer format."""
        path = folder / MANIFEST
        try:
            content: dict[str, Any] = read_json(path)
        except InputError as error:
            raise BundleError(folder, f"{MANIFEST} {error.reason}") from error
        if not isinstance(content, dict):
            raise BundleError(folder, f"{MANIFEST} holds no manifest")
        if content.get("format") != FORMAT:
            raise BundleError(folder, f"has format {content.get('format')!r}, this release reads {FORMAT}")
        try:
            return stored.from_plain(cls, content, source=MANIFEST)
        except StoredError as error:
            raise BundleError(folder, str(error)) from error


def is_version(text: str) -> bool:
    """Return whether a text can name a bundle: a name in the registry's folder, and no way out of it."""
    return _VERSION.fullmatch(text) is not None


def no_version(name: str) -> str:
    """Return what is said of a name that is no version's, shortened."""
    return f"{name[:60]!r} is no version's name"


def version_of(folder: Path) -> str:
    """Return the version that a bundle's folder is, or will be once it is listed."""
    return folder.name.removeprefix(STAGING)


def verify(folder: Path) -> Manifest:
    """Return the manifest of an intact bundle.

    Raises `BundleError` with the reason: a file is missing, changed or not in the manifest, or the version is another.
    """
    manifest = Manifest.read(folder)
    if manifest.version != version_of(folder):
        raise BundleError(folder, f"its manifest is that of version {manifest.version}")
    try:
        links = {path.name: path.is_symlink() for path in folder.iterdir()}
        present = links.keys() - {MANIFEST}
        for name in sorted(present ^ manifest.files.keys()):
            raise BundleError(folder, f"{name} is {'not in the manifest' if name in present else 'missing'}")
        for name in sorted(name for name, is_link in links.items() if is_link):
            raise BundleError(folder, f"{name} is a symbolic link: what it leads to can change unseen")
        for name, digest in manifest.files.items():
            if sha256_of(folder / name) != digest:
                raise BundleError(folder, f"{name} was changed: its SHA-256 is not the manifest's")
    except InputError as error:
        raise BundleError(folder, f"{Path(error.source).name} {error.reason}") from error
    except OSError as error:
        raise BundleError(folder, f"cannot be read ({error.strerror})") from error
    return manifest
