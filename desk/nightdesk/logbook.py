"""Logging as the settings want it, without any of the settings' secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from nightdesk_core.secrets.redaction import Redaction
from nightdesk_core.secrets.secret_keys import masked
from nightdesk_core.secrets.secret_settings import all_secrets
from nightdesk_core.settings import SettingsError
from nightdesk_exporter import logs

from nightdesk.passwords import GUARDED, password
from nightdesk.settings import Settings


def set_up_logs(
    program: str, settings: Settings, *, to_file: bool = True, show: Callable[[str], None] | None = None
) -> None:
    """Log to the console, or by `show`, and, where `to_file`, to `logs/<program>.jsonl`."""
    wanted = settings.operations.logs
    logs.set_up(
        program,
        folder=settings.home / "logs" if to_file else None,
        level=wanted.level,
        rotation_megabytes=wanted.rotation_megabytes,
        keep_files=wanted.keep_files,
        secrets=secrets(settings),
        show=show,
    )


def secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret: those written in the settings, those in files that they name, and the servers' passwords.

    A file that cannot be read is passed over: what needs it says so.
    """
    yield from all_secrets(settings)
    for server in GUARDED:
        with suppress(SettingsError):
            yield password(settings, server) or ""


def without_secrets(settings: Settings) -> dict[str, Any]:
    """Return the settings as they may be shown and recorded: as plain data, each secret as stars."""
    shown: dict[str, Any] = masked(settings.model_dump(mode="json"), Redaction(secrets(settings)).text)
    return shown
