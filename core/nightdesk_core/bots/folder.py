"""Where the records of this user's bots lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "NIGHTDESK_BOTS_DIR"


def bots_folder(*, environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the folder of records: `$NIGHTDESK_BOTS_DIR`, or where the platform keeps a user's state.

    Raises `OSError` where the user has no home.
    """
    if chosen := environment.get(VARIABLE):
        return Path(chosen).absolute()
    return _state_home(environment, platform) / "nightdesk" / "bots"


def _state_home(environment: Mapping[str, str], platform: str) -> Path:
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return Path(local) if local else _home() / "AppData" / "Local"
    if platform == "darwin":
        return _home() / "Library" / "Application Support"
    chosen = environment.get("XDG_STATE_HOME", "")
    # The specification has a relative path ignored.
    return Path(chosen) if Path(chosen).is_absolute() else _home() / ".local" / "state"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise FileNotFoundError(f"this user has no home ({error})") from error
