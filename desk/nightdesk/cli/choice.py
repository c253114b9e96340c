"""What the commands share: the chosen settings file with its overrides, and how they name things."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import typer
from nightdesk_core.secrets.redaction import Redaction
from nightdesk_core.secrets.secret_settings import refuse_on_command_line

from nightdesk import settings as settings_module
from nightdesk import terminal
from nightdesk.logbook import secrets
from nightdesk.settings import Settings

DEFAULT_FILE = Path("nightdesk.yml")


class Choice:
    """The settings that the command line chose, loaded once they are needed."""

    def __init__(self, file: Path, overrides: list[str]) -> None:
        self.file = file
        self.overrides = overrides

    def load(self, *, may_be_missing: bool = False) -> Settings:
        """Return the settings; from then on no secret of theirs is printed.

        The default file `may_be_missing`, and then holds the defaults. Raises `SettingsError` with every problem at
        once, and where an override holds a secret.
        """
        refuse_on_command_line(Settings, self.overrides)
        missing = may_be_missing and self.file == DEFAULT_FILE
        settings = settings_module.load(self.file, self.overrides, may_be_missing=missing)
        terminal.hide(Redaction(secrets(settings)).text)
        return settings


def choice(context: typer.Context) -> Choice:
    """Return what the command line chose."""
    chosen: Choice = context.obj
    return chosen


def load_settings(context: typer.Context) -> Settings:
    """Return the settings that the command line chose."""
    return choice(context).load()


def actor() -> str:
    """Return who is at the keyboard; a container's user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
