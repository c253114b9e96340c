"""A bundle's trial: it is loaded in a process of its own, within limits of time and memory, before anybody else does.

What a hash says is that a file is the one that was written. A file that was broken before it was hashed, or together
with its hash, can end whatever process loads it in native code, and again at each start. The trial is no wall against
malice: a strategy that loads a pickle runs what is in it, here as anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_core.clock import WallClock, WallTime, system_clock
from nightdesk_core.files import stored
from nightdesk_core.files.durable import write_json_atomic
from nightdesk_core.files.reader import InputError, sha256_of
from nightdesk_core.models.bundle import MANIFEST, BundleError

SECONDS = 60.0
"""For loading a model once, its libraries included, on a machine that is busy."""
MEMORY_BYTES = 4_000_000_000
"""Of address space: what LightGBM and numba reserve is more than they use."""
UNTRIED = 2
"""The trial's process ends with it where the strategy itself cannot be made."""
_FAILURE_HOLDS_SECONDS = 3600.0
"""A failure may have been the machine's, short of memory or of time; a bundle that passed does not change."""
_ANSWER_BYTES = 2_000
_BY_CHANCE = ("nightdesk", "lightgbm", "numpy", "numba", "scikit-learn")
"""Distributions that a model may load with one version of, and not with another."""


@dataclass(frozen=True)
class TrialVerdict:
    """What came of a bundle's trial; `reason` is empty where it passed."""

    key: str
    """Of the bundle's content, and of what loaded it."""
    reason: str
    tried_at: WallTime


class BundleTrial:
    """Tries bundles by one strategy, each once: verdicts are kept in `folder`, beside the bundles."""

    def __init__(
        self,
        pipeline: str,
        document: Callable[[], Mapping[str, Any]],
        *,
        folder: Path,
        seconds: float = SECONDS,
        clock: WallClock = system_clock,
    ) -> None:
        """`pipeline` is `module:Class`, `document` the settings that it is made from."""
        self._pipeline = pipeline
        self._document = document
        self._folder = folder
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, TrialVerdict] = {}
        """What could not be written down, too."""

    def __call__(self, bundle: Path) -> None:
        """Return where an intact bundle can be loaded. Raises `BundleError` with the reason where it cannot."""
        reason = self.remembered(bundle)
        if reason is None:
            reason, is_the_bundle_s = self._tried(bundle)
            verdict = self._known[bundle.name] = TrialVerdict(self._key(bundle), reason, self._clock())
            if is_the_bundle_s:
                self._write(bundle, verdict)
        if reason:
            raise BundleError(bundle, reason)

    def remembered(self, bundle: Path) -> str | None:
        """Return why an intact bundle cannot be loaded, empty where it can, `None` where it has yet to be tried."""
        verdict = self._verdict(bundle.name, self._key(bundle))
        return None if verdict is None else verdict.reason

    def _key(self, bundle: Path) -> str:
        """The manifest holds the hash of every other file of a bundle that was verified."""
        parts = [sha256_of(bundle / MANIFEST), self._pipeline, sys.version, platform.machine()]
        for name in _BY_CHANCE:
            with suppress(metadata.PackageNotFoundError):
                parts.append(f"{name} {metadata.version(name)}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _verdict(self, version: str, key: str) -> TrialVerdict | None:
        found = self._known.get(version)
        if found is None:
            with suppress(InputError):
                found = stored.read(TrialVerdict, self._file(version))
        if found is None or found.key != key:
            return None
        over = found.reason and not 0 <= self._clock() - found.tried_at < _FAILURE_HOLDS_SECONDS
        return None if over else found

    def _write(self, bundle: Path, verdict: TrialVerdict) -> None:
        """Write a verdict down, and forget those on bundles that are no more."""
        version = bundle.name
        try:
            write_json_atomic(self._file(version), stored.plain(verdict))
            for file in self._folder.glob("*.json"):
                if not (bundle.parent / file.stem).exists():
                    file.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the trial of {} is not remembered ({}): the next start tries it again", version, error)

    def _file(self, version: str) -> Path:
        return self._folder / f"{version}.json"

    def _tried(self, bundle: Path) -> tuple[str, bool]:
        """Return why a bundle cannot be loaded, empty where it can, and whether that says something of the bundle."""
        work = {
            "path": sys.path,
            "pipeline": self._pipeline,
            "document": self._document(),
            "folder": str(bundle),
            "memory_bytes": MEMORY_BYTES,
            "seconds": self._seconds,
        }
        # One thread each: what a library reserves for every core counts as memory.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with tempfile.TemporaryFile() as answer:
            try:
                done = subprocess.run(
                    [sys.executable, "-P", "-m", "nightdesk_retrain.trial_process"],
                    input=json.dumps(work).encode(),
                    stdout=answer,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    timeout=self._seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return self._words(-signal.SIGALRM), True
            except OSError as error:
                return f"its trial cannot be begun ({error}): this machine is short of something; {_ADVICE}", False
            answer.seek(0)
            said = answer.read(_ANSWER_BYTES).decode(errors="replace").strip()
        return said or self._words(done.returncode), done.returncode != UNTRIED

    def _words(self, code: int) -> str:
        if code == 0:
            return ""
        if code == -signal.SIGALRM:
            return f"loading it takes longer than {self._seconds:g} s; {_ADVICE}"
        how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
        return f"loading it ends the process ({how}), though its hashes fit: a file is broken; {_ADVICE}"


_ADVICE = "`nightdesk models rollback` goes back to one before it, `nightdesk retrain` makes another"
