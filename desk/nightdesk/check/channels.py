"""Where alerts go, and who can read the secrets for it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nightdesk_alerts import ChatChannel, Later, Moved, Refused, ask_chat, url_problems
from nightdesk_alerts.channels import known_channels
from nightdesk_core.secrets.secret_settings import written_secrets
from nightdesk_core.settings import read_document

from nightdesk.channels import channels
from nightdesk.check.result import SetupError
from nightdesk.passwords import GUARDED, password_file
from nightdesk.reference import sections
from nightdesk.settings import Settings

_ASK_SECONDS = 5.0


def check_channels(settings: Settings) -> str:
    """Return which channels there are. Raises `SetupError` for a malformed one, `SettingsError` for half of one."""
    found = channels(settings)
    problems = [
        *(problem for channel in found.alerting.channels for problem in channel.problems()),
        *url_problems("watchdog_url", found.watchdog_url),
    ]
    if problems:
        raise SetupError("; ".join(f"operations.alerts.{problem}" for problem in problems))
    if not found.alerting.enabled:
        return "switched off by operations.alerts.enabled: nobody is told anything"
    names = [channel.title for channel in found.alerting.channels]
    if not names:
        keys = [kind.needed()[0].usual_key for kind in known_channels()]
        return f"none: alerts are only seen in Alertmanager; set {_listed(keys, 'or')}"
    return _listed(names, "and") + (" of the sandbox's inbox" if found.of_inbox else "")


def check_chats(settings: Settings) -> str:
    """Return which chats take messages, as their services say. Raises `SetupError` for one that does not.

    The numbers are the settings' own: one that has moved is followed while things run, and belongs into the settings.
    """
    alerts = settings.operations.alerts
    asked = [channel for channel in alerts.alerting(alertmanagers=()).channels if isinstance(channel, ChatChannel)]
    if not asked or not alerts.enabled:
        return "none to ask for"
    problems = [f"{channel.title}: {found}" for channel in asked if (found := _trouble(channel))]
    if problems:
        raise SetupError("; ".join(problems))
    return f"{_listed([channel.title for channel in asked], 'and')} would take a message"


def _trouble(channel: ChatChannel) -> str:
    """Return why a chat takes no message, and what to do; empty where it does."""
    match ask_chat(channel, timeout_seconds=_ASK_SECONDS):
        case Moved(place):
            key = f"operations.alerts.{channel.name}_chat_id"
            return f"the chat {channel.place} has become {place}: set {key} to {place}"
        case Refused(problem):
            return (
                f"messages to the chat {channel.place} are refused ({problem}), and nobody is told there: at 401 the"
                " token is revoked, set the new one; at 403 the bot was removed, add it to the chat again; else see"
                " whether the chat's number is right"
            )
        case Later(problem):
            return f"it cannot be asked now ({problem}): try again, or leave it out with --offline"
    return ""


def _listed(names: list[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def check_secrets(settings: Settings, settings_file: Path) -> str:
    """Return how many files hold secrets. Raises `SetupError` for those that every user of the machine can read."""
    files = sorted({*_secret_files(settings), *_inline(settings_file), *_rendered(settings), *_passwords(settings)})
    open_files = [file for file in files if file.stat().st_mode & stat.S_IROTH]
    if open_files:
        names = " ".join(map(str, open_files))
        raise SetupError(f"every user of this machine can read {names}; chmod 600 {names}")
    return f"in {len(files)} files that others cannot read" if files else "none"


def _secret_files(settings: Settings) -> Iterator[Path]:
    """Yield the files that the settings name for secrets and that are there."""
    for section in sections():
        if section.path.endswith("[]"):
            continue
        for name in section.model.model_fields:
            path = _at(settings, f"{section.path}.{name}") if name.endswith("_file") else None
            if isinstance(path, Path) and path.is_file():
                yield path


def _inline(settings_file: Path) -> Iterator[Path]:
    """Yield the settings file where secrets stand in itself."""
    if any(written_secrets(Settings, read_document(settings_file))):
        yield settings_file.absolute()


def _rendered(settings: Settings) -> Iterator[Path]:
    """Yield the secrets as they were written for Alertmanager."""
    yield from (settings.home / "rendered" / "alertmanager" / "secrets").glob("*")


def _passwords(settings: Settings) -> Iterator[Path]:
    """Yield what the servers' passwords lie in, and what tells the servers of them."""
    yield from (file for server in GUARDED if (file := password_file(settings, server)).is_file())
    yield from (settings.home / "rendered").glob("*/web.yml")


def _at(settings: Any, dotted: str) -> Any:
    for part in dotted.strip(".").split("."):
        settings = getattr(settings, part)
    return settings
