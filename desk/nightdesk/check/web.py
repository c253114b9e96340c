"""Whether the exporter's web configuration file can be used, and Prometheus is told to scrape by it."""

from __future__ import annotations

from nightdesk_exporter import read_web_config

from nightdesk.check.result import SetupError
from nightdesk.settings import Settings


def check_web_config(settings: Settings) -> str:
    """Return what the file asks for. Raises `WebConfigError`, or `SetupError` where `bot.scrape` does not fit it."""
    file, scrape = settings.bot.web_config_file, settings.bot.scrape
    config = read_web_config(file) if file is not None else None
    tls, users = (config is not None and config.tls is not None), (config.users if config is not None else {})
    if (scrape.scheme == "https") != tls:
        raise SetupError(
            f"bot.scrape.scheme must be {'https' if tls else 'http'}, as the web configuration file has it"
        )
    if users and scrape.username not in users:
        raise SetupError("bot.scrape.username is none of the web configuration file's basic_auth_users")
    if scrape.password_file is not None and not scrape.password_file.is_file():
        raise SetupError(f"bot.scrape.password_file: {scrape.password_file} is not there")
    if file is None:
        return "none: no TLS, no password"
    return f"{'TLS' if tls else 'no TLS'}, {len(users)} users"
