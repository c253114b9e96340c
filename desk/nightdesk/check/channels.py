"""Where alerts go, and who can read the secrets for it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nightdesk_core.settings import read_document
from pydantic import SecretStr

from nightdesk.channels import channels
from nightdesk.check.finding import SetupError
from nightdesk.reference import sections
from nightdesk.settings import Settings

_SCHEMES = ("http", "https")
_TOKEN = re.compile(r"[1-9][0-9]{0,15}:[A-Za-z0-9_-]+")
_NAMES = {
    "discord": "Discord",
    "slack": "Slack",
    "telegram": "Telegram",
    "webhook": "a webhook of your own",
    "mail": "e-mail",
}


def check_channels(settings: Settings) -> str:
    """Return which channels there are. Raises `SetupError` for a malformed one, `SettingsError` for half of one."""
    alerts = settings.operations.alerts
    found = channels(settings)
    alerting = found.alerting
    problems = [
        *_url_problems("discord_webhook_url", alerting.discord_webhook_url),
        *_url_problems("slack_webhook_url", alerting.slack_webhook_url),
        *_token_problems(alerting.telegram_bot_token),
        *_url_problems("telegram_api_url", alerting.telegram_api_url if alerting.telegram_bot_token else ""),
        *_url_problems("webhook_url", alerting.webhook_url),
        *_url_problems("watchdog_url", found.watchdog_url),
        *_server_problems(alerts.email_smtp_server),
        *_address_problems("email_from", [alerts.email_from] if alerting.mail else []),
        *_address_problems("email_recipients", alerts.email_recipients),
    ]
    if problems:
        raise SetupError("; ".join(f"operations.alerts.{problem}" for problem in problems))
    if not alerts.enabled:
        return "switched off by operations.alerts.enabled: nobody is told anything"
    names = [_NAMES[name] for name in alerting.direct]
    if not names:
        return (
            "none: alerts are only seen in Alertmanager; set discord_webhook_url_file, slack_webhook_url_file,"
            " telegram_bot_token_file, webhook_url_file or email_smtp_server"
        )
    shown = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return shown + (" of the sandbox's inbox" if found.of_inbox else "")


def _url_problems(key: str, url: str) -> Iterator[str]:
    """Yield what is wrong with a URL. It is a secret: what it reads is not repeated."""
    try:
        parts = urlsplit(url)
        wrong = bool(url) and (parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0)
    except ValueError:
        wrong = True
    if wrong or any(character.isspace() for character in url):
        yield f"{key} is no address: it must read https://host/…"


def _token_problems(token: str) -> Iterator[str]:
    if token and not _TOKEN.fullmatch(token):
        yield "telegram_bot_token is no token: it must read 123456:letters, as @BotFather gives it"


def _server_problems(server: str) -> Iterator[str]:
    if any(mark in server for mark in "/@: "):
        yield f"email_smtp_server is {server!r}: it must be a host's name alone; the port is email_smtp_port"


def _address_problems(key: str, addresses: Any) -> Iterator[str]:
    for address in addresses:
        name, at, host = address.partition("@")
        if not (name and at and host) or "@" in host or any(character.isspace() for character in address):
            yield f"{key} holds {address!r}, which is no e-mail address: it must read name@host"


def check_secrets(settings: Settings, settings_file: Path) -> str:
    """Return how many files hold secrets. Raises `SetupError` for those that every user of the machine can read."""
    files = sorted({*_secret_files(settings), *_inline(settings_file), *_rendered(settings)})
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
    document = read_document(settings_file)
    keys = [
        [*section.path.split("."), name]
        for section in sections()
        for name, field in section.model.model_fields.items()
        if field.annotation is SecretStr
    ]
    if any(_held(document, key) for key in keys):
        yield settings_file.absolute()


def _held(document: Any, key: list[str]) -> bool:
    for part in key:
        document = document.get(part) if isinstance(document, dict) else None
    return bool(document)


def _rendered(settings: Settings) -> Iterator[Path]:
    """Yield the secrets as they were written for Alertmanager."""
    yield from (settings.home / "rendered" / "alertmanager" / "secrets").glob("*")


def _at(settings: Any, dotted: str) -> Any:
    for part in dotted.strip(".").split("."):
        settings = getattr(settings, part)
    return settings
