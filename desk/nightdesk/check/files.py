"""Who else on this machine can change what decides about money: the settings, the bot's state, its models."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from nightdesk import home
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings

_NAMED_AT_ONCE = 5


def check_files(settings: Settings, settings_file: Path) -> str:
    """Return that nobody else can change settings, state or models.

    Raises `SetupError` naming what another user owns or can write, or can put another file in the place of.
    """
    state, models = home.state_dir(settings), settings.path(settings.bot.models_dir)
    mine = (settings_file.absolute(), state, models)
    # Root may look after the bot of another user, whose files are rightly that one's.
    owner = state.stat().st_uid if os.geteuid() == 0 and state.exists() else os.geteuid()
    around = sorted({parent for path in mine for parent in path.resolve().parents})
    found = [
        *(trouble for path in (mine[0], *_tree(state), *_tree(models)) if (trouble := _trouble(path, owner))),
        *(trouble for path in around if (trouble := _trouble(path, owner, sticky_is_well=True))),
    ]
    if found:
        more = f"; and {len(found) - _NAMED_AT_ONCE} more" if len(found) > _NAMED_AT_ONCE else ""
        raise SetupError(
            f"{'; '.join(found[:_NAMED_AT_ONCE])}{more}. Whoever can change these can lift a kill, move limits or put"
            " another model in place: give them to the user that runs the bot (chown), and take that from others"
            " (chmod go-w)"
        )
    return "nobody else can change settings, state or models"


def _tree(folder: Path) -> Iterator[Path]:
    if folder.exists():
        yield folder
        yield from sorted(folder.rglob("*"))


def _trouble(path: Path, owner: int, *, sticky_is_well: bool = False) -> str:
    """Return what is wrong with a path, empty where nothing is. In a sticky folder others replace only their own."""
    try:
        found = path.stat()
    except OSError:
        return ""
    if found.st_uid not in (owner, 0):
        return f"{path} belongs to {_name(found.st_uid)}"
    if found.st_mode & stat.S_IWOTH and not (sticky_is_well and found.st_mode & stat.S_ISVTX):
        return f"every user can write {path}"
    return ""


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
