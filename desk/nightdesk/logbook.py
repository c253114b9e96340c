"""Logging as the settings want it, without any of the settings' secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nightdesk_core.settings import SettingsError, SettingsModel, read_secret
from nightdesk_exporter import logs
from pydantic import SecretStr

from nightdesk.passwords import GUARDED, password
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
    """Yield every secret: those written in the settings, those in files that they name, and the servers' passwords.

    A file that cannot be read is passed over: what needs it says so.
    """
    yield from _in_section(settings)
    for server in GUARDED:
        with suppress(SettingsError):
            yield password(settings, server) or ""


def _in_section(section: SettingsModel) -> Iterator[str]:
    fields = dict(section)
    for name, value in fields.items():
        if isinstance(value, SettingsModel):
            yield from _in_section(value)
        elif isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, Path) and _holds_secret(name, fields):
            with suppress(SettingsError):
                yield read_secret(SecretStr(""), value, key=name)


def _holds_secret(name: str, fields: dict[str, object]) -> bool:
    """Return whether a file holds what is secret where it is written into the settings themselves."""
    plain = name.removesuffix("_file")
    return name != plain and (plain == "password" or isinstance(fields.get(plain), SecretStr))
