"""Logging as the settings want it, without any of the settings' secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightdesk_core.redaction import Redaction
from nightdesk_core.secret_keys import masked
from nightdesk_core.secret_settings import all_secrets
from nightdesk_exporter import logs

from nightdesk.settings import Settings


def set_up_logs(program: str, settings: Settings, *, to_file: bool = True) -> None:
    """Log to the console and, where `to_file`, to `logs/<program>.jsonl`."""
    wanted = settings.operations.logs
    logs.set_up(
        program,
        folder=settings.home / "logs" if to_file else None,
        level=wanted.level,
        rotation_megabytes=wanted.rotation_megabytes,
        keep_files=wanted.keep_files,
        secrets=secrets(settings),
    )


def secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret: those written in the settings, and those in files that they name."""
    yield from all_secrets(settings)


def without_secrets(settings: Settings) -> dict[str, Any]:
    """Return the settings as they may be shown and recorded: as plain data, each secret as stars."""
    shown: dict[str, Any] = masked(settings.model_dump(mode="json"), Redaction(secrets(settings)).text)
    return shown
