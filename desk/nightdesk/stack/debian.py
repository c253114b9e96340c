"""Programs out of Debian packages, unpacked and never installed: no package script runs, no unit starts.

A private apt root beside the programs keeps its own sources, lists and cache, so the machine's own packages stay as
they are. Mirror and keyring are the machine's own, and apt verifies the signatures with them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.reader import read_text

SUITE = "trixie"
"""Debian 13. Its packages need libc6 >= 2.34, so they also run on Debian 12 and Ubuntu 22.04."""

APT_TIMEOUT_SECONDS = 300.0
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class ToolsError(NightdeskError):
    """A program that the stack needs is neither here nor could it be fetched."""


@dataclass(frozen=True)
class Archive:
    """A mirror of the Debian archive and the keyring that verifies it."""

    uri: str
    keyring: Path


def machine_archive(apt_folder: Path = Path("/etc/apt")) -> Archive:
    """Return the Debian archive that this machine's own apt sources name.

    Raises `ToolsError` where none is named: not Debian, or only mirrors of something else.
    """
    lists = [apt_folder / "sources.list", *sorted((apt_folder / "sources.list.d").glob("*"))]
    for file in lists:
        if not file.is_file() or file.suffix not in (".list", ".sources"):
            continue
        text = read_text(file)
        entries = _deb822(text) if file.suffix == ".sources" else _one_line(text)
        for uri, suites, components, signed_by in entries:
            if _is_debian(uri, suites, components, signed_by):
                return Archive(uri=uri, keyring=Path(signed_by) if signed_by.startswith("/") else KEYRING)
    raise ToolsError(
        f"{apt_folder} names no Debian archive to fetch the servers from; put prometheus, promtool, alertmanager (0.28"
        " or newer), amtool, pushgateway and docker-compose (v2) on the PATH"
    )


def fetch(packages: Sequence[str], archive: Archive, *, apt_root: Path, into: Path) -> None:
    """Download `packages` with their signatures verified and unpack them under `into`.

    Raises `ToolsError` with apt's own words where the mirror, the keyring or a package is missing.
    """
    if not archive.keyring.is_file():
        raise ToolsError(
            f"{archive.keyring} is missing, so no signature could be verified; install debian-archive-keyring"
        )
    configuration = _private_root(archive, apt_root)
    downloads = apt_root / "debs"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    _run(["apt-get", "-c", str(configuration), "-qq", "update"])
    _run(["apt-get", "-c", str(configuration), "-qq", "download", *packages], cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(into)])
    shutil.rmtree(downloads)


def _private_root(archive: Archive, root: Path) -> Path:
    """Write an apt configuration that touches nothing outside `root`, and return it."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    sources = root / "sources.list"
    sources.write_text(f"deb [signed-by={archive.keyring}] {archive.uri} {SUITE} main\n", encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": root / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": root / "cache",
        "Acquire::Languages": "none",
        # The user `_apt` may not be able to enter this folder; the signatures are verified all the same.
        "APT::Sandbox::User": "root",
    }
    lines = [f'{key} "{value}";' for key, value in options.items()]
    # Hooks of the machine's own configuration clean up its own cache, not ours.
    lines += ["#clear APT::Update::Post-Invoke;", "#clear APT::Update::Post-Invoke-Success;"]
    configuration = root / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return configuration


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    name = command[0]
    try:
        subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=APT_TIMEOUT_SECONDS,
        )
    except FileNotFoundError as error:
        raise ToolsError(f"{name} is not on this machine; the servers can only be fetched on Debian") from error
    except subprocess.TimeoutExpired as error:
        raise ToolsError(f"{name} gave no answer within {APT_TIMEOUT_SECONDS:g} s; is the mirror reachable?") from error
    except subprocess.CalledProcessError as error:
        words = " ".join((error.stderr or error.stdout).split())
        raise ToolsError(f"{name} failed: {words or f'exit code {error.returncode}'}") from error


Entry = tuple[str, list[str], list[str], str]
"""URI, suites, components, the keyring's path or an empty string."""


def _deb822(text: str) -> Iterator[Entry]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
                continue
            key, _, value = line.partition(":")
            key = key.strip().lower()
            fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            yield (
                uri,
                fields.get("suites", "").split(),
                fields.get("components", "").split(),
                fields.get("signed-by", ""),
            )


def _one_line(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        match = re.match(r"^deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            options, uri, suite, components = match.groups()
            signed = re.search(r"signed-by=(\S+)", options or "")
            yield uri, [suite], components.split(), signed.group(1) if signed else ""


def _is_debian(uri: str, suites: list[str], components: list[str], signed_by: str) -> bool:
    """Tell the main archive from its security suite and from other projects' repositories."""
    if "main" not in components or any("-security" in suite or "/" in suite for suite in suites):
        return False
    named = "debian-archive" in signed_by
    return named or (not signed_by and uri.rstrip("/").rsplit("/", 1)[-1] == "debian")
