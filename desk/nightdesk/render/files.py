"""A folder of rendered files: what changed is replaced whole, the rest left alone, what is no longer wanted removed."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.permissions import Readers, file_mode, make_folder, tighten
from nightdesk_core.files.reader import MissingInputError, read_bytes

_MARK = ".rendered"
_RENDERED = "Written by `nightdesk render` from the static file of this name and the settings."
_MARK_TEXT = (
    b"This folder belongs to a command of Nightdesk, which writes and removes files here: edit nothing in it.\n"
)


class RenderError(NightdeskError):
    """The running configuration cannot be written where it was asked for."""


@dataclass(frozen=True)
class File:
    """What a rendered file holds, and who may read it: of a secret its owner alone."""

    content: bytes
    readers: Readers = "group"


Files = dict[str, File]
"""By the path inside the folder, in the order of writing: what a file refers to comes before it."""


def yaml_file(document: object, *, head: str = _RENDERED) -> File:
    """Return a document as a YAML file that says where it comes from."""
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return File(f"# {head}\n{text}".encode())


def refuse_others(out: Path) -> None:
    """Raise `RenderError` where `out` holds files that were not rendered, so that a mistyped path loses nothing."""
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).is_file():
        raise RenderError(f"{out} is neither empty nor a folder that was rendered before; name another with --out")


def write_files(
    out: Path, files: Mapping[str, File], *, group: int | None = None, readers: Readers = "group"
) -> tuple[str, ...]:
    """Make `out` hold exactly `files` and return the paths that were written or removed, in that order.

    Each file is replaced in one step. `group` is whose members may read them, but for secrets; with `readers` of "all",
    whoever wants to may enter the folder. `refuse_others` comes before. Raises `RenderError` where the disk does not
    take one: what was there before still holds.
    """
    try:
        return _written(out, files, group=group, readers=readers)
    except OSError as error:
        raise RenderError(
            f"{error.filename or out} cannot be written ({reason_of(error)}): what was there before stays"
        ) from error


def _written(out: Path, files: Mapping[str, File], *, group: int | None, readers: Readers) -> tuple[str, ...]:
    make_folder(out, readers=readers)
    if readers != "all":
        tighten(out, group=group)
    if not (out / _MARK).is_file():
        write_atomic(out / _MARK, _MARK_TEXT)
    changed = [path for path, file in files.items() if not _holds(out / path, file)]
    for path in changed:
        write_atomic(out / path, files[path].content, readers=files[path].readers)
    gone = sorted(
        path
        for found in out.rglob("*")
        if found.is_file() and (path := str(found.relative_to(out))) not in files and path != _MARK
    )
    for path in gone:
        (out / path).unlink()
    return (*changed, *gone)


def _holds(path: Path, file: File) -> bool:
    try:
        same = read_bytes(path) == file.content
        return same and stat.S_IMODE(path.stat().st_mode) == file_mode(path.parent, readers=file.readers)
    except MissingInputError:
        return False
