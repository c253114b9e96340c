"""The servers and their checkers: found on the PATH where they are new enough, else unpacked from Debian packages.

`<home>/tools/bin` holds one link per program. It appears in one rename after everything else is in place, so a run that
was interrupted is simply begun again, and a second call only looks at six links.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from nightdesk_core.files.durable import locked
from nightdesk_core.files.permissions import make_folder

from nightdesk.stack.debian import APT_TIMEOUT_SECONDS, ToolsError, fetch, machine_archive

__all__ = ["Tools", "ToolsError", "ensure_tools", "find_tools"]

TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Debian's Alertmanager and amtool read their built-in templates from here and start nowhere without them."""


@dataclass(frozen=True)
class Tools:
    """Absolute paths of the programs."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path
    pushgateway: Path
    docker_compose: Path


@dataclass(frozen=True)
class _Program:
    names: tuple[str, ...]
    """What it is called on the PATH: upstream's name, Debian's name."""
    package: str
    at_least: tuple[int, int]
    version_arguments: tuple[str, ...] = ("--version",)


_PROGRAMS = {
    # 2.42 is the first Prometheus that knows keep_firing_for.
    "prometheus": _Program(("prometheus",), "prometheus", (2, 42)),
    "promtool": _Program(("promtool",), "promtool", (2, 42)),
    # 0.28 is the first Alertmanager with Discord's webhook_url_file and the webhook's url_file.
    "alertmanager": _Program(("alertmanager", "prometheus-alertmanager"), "prometheus-alertmanager", (0, 28)),
    "amtool": _Program(("amtool",), "prometheus-alertmanager", (0, 28)),
    "pushgateway": _Program(("pushgateway", "prometheus-pushgateway"), "prometheus-pushgateway", (1, 4)),
    # 2.20 is the first Compose with depends_on.required.
    "docker_compose": _Program(("docker-compose",), "docker-compose", (2, 20), ("version",)),
}


def find_tools(home: Path) -> Tools | None:
    """Return the programs that an earlier `ensure_tools(home)` put in place, or None where one is missing."""
    links = {name: home.absolute() / "tools" / "bin" / name for name in _PROGRAMS}
    if not all(os.access(link, os.X_OK) for link in links.values()):
        return None
    return Tools(**links)


def ensure_tools(home: Path, *, progress: Callable[[str], None]) -> Tools:
    """Return the programs, fetching what the PATH lacks; `progress` hears a sentence before each slow step.

    Takes milliseconds where they are already there. Two processes may call it at once: the second waits for the first.
    Raises `ToolsError` where something is missing and cannot be fetched.
    """
    folder = home.absolute() / "tools"
    tools = find_tools(home)
    if tools is None:
        with locked(folder / "lock", timeout_seconds=2 * APT_TIMEOUT_SECONDS):
            tools = find_tools(home) or _put_in_place(folder, progress)
    _ensure_templates(tools, folder, progress)
    return tools


def _put_in_place(folder: Path, progress: Callable[[str], None]) -> Tools:
    root = folder / "unpacked"
    targets = {name: path for name, program in _PROGRAMS.items() if (path := _on_path(program))}
    missing = sorted({program.package for name, program in _PROGRAMS.items() if name not in targets})
    if missing:
        progress(f"Fetching {', '.join(missing)} from the Debian archive into {folder} (about 60 MB, once).")
        _unpack(missing, folder, root)
    targets |= {name: _under(root, program) for name, program in _PROGRAMS.items() if name not in targets}
    links = folder / "bin.new"
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(parents=True)
    for name, target in targets.items():
        inside = target.is_relative_to(folder)
        (links / name).symlink_to(Path("..") / target.relative_to(folder) if inside else target)
    shutil.rmtree(folder / "bin", ignore_errors=True)
    links.rename(folder / "bin")
    return Tools(**{field.name: folder / "bin" / field.name for field in fields(Tools)})


def _unpack(packages: Sequence[str], folder: Path, root: Path) -> None:
    staging = folder / "unpacked.new"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    fetch(packages, machine_archive(), apt_root=folder / "apt", into=staging)
    shutil.rmtree(folder / "apt")  # apt's lists, 100 MB that nobody reads again
    shutil.rmtree(root, ignore_errors=True)
    staging.rename(root)


def _under(root: Path, program: _Program) -> Path:
    for name in program.names:
        if (path := root / "usr" / "bin" / name).is_file():
            return path
    raise ToolsError(f"the package {program.package} was unpacked into {root}, but holds no {program.names[0]}")


def _on_path(program: _Program) -> Path | None:
    """Return the program of the PATH where it is new enough."""
    for name in program.names:
        found = shutil.which(name)
        if found and _version([found, *program.version_arguments]) >= program.at_least:
            return Path(found).absolute()
    return None


def _version(command: list[str]) -> tuple[int, int]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = re.search(r"\bv?(\d+)\.(\d+)\.\d+", done.stdout + done.stderr)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def _ensure_templates(tools: Tools, folder: Path, progress: Callable[[str], None]) -> None:
    """Put Debian's default templates where its Alertmanager reads them, or say which command does."""
    if not any(tool.resolve().is_relative_to(folder.resolve()) for tool in (tools.alertmanager, tools.amtool)):
        return
    unpacked = sorted((folder / "unpacked" / TEMPLATES.relative_to("/")).glob("*.tmpl"))
    missing = [template for template in unpacked if not (TEMPLATES / template.name).exists()]
    if not missing:
        return
    if os.geteuid() != 0:
        raise ToolsError(
            f"Alertmanager reads its own templates in {TEMPLATES}, where only root can put them; run once:\n"
            f"  sudo install -D -m 0644 -t {TEMPLATES} {' '.join(map(str, missing))}"
        )
    make_folder(TEMPLATES, readers="all")
    for template in missing:
        # Named last, so that a run that is interrupted here leaves no half template behind.
        part = TEMPLATES / f".{template.name}.part"
        shutil.copyfile(template, part)
        part.chmod(0o644)
        part.rename(TEMPLATES / template.name)
    names = ", ".join(template.name for template in missing)
    progress(f"Copied Alertmanager's own {names} to {TEMPLATES}, where it reads them.")
