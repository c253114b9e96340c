"""Alertmanager's running configuration: the channels that the settings name, their secrets, a replay's waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from nightdesk_core.clock import TimeScale

from nightdesk.render_files import File, Files, yaml_file
from nightdesk.render_scale import scaled_duration
from nightdesk.settings import Settings, SettingsError

SANDBOX_DISCORD_PATH = "/api/webhooks/1/nightdesk"
SANDBOX_MAILBOX = "desk@nightdesk.invalid"

_PAUSE_ALERTS = "TradebotGuardPaused|TradebotGuardReduced"
_KILL_ALERTS = "TradebotKillSwitchActive"
_ROTATION_ALERTS = "TradebotModelPromoted|TradebotModelKept|TradebotModelRolledBack"


@dataclass(frozen=True)
class Mail:
    """How mail is sent."""

    smarthost: str
    sender: str
    recipients: tuple[str, ...]
    require_tls: bool
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Channels:
    """Where alerts go. An empty URL and no mail mean that there is no such channel."""

    discord_url: str = field(default="", repr=False)
    mail: Mail | None = None
    watchdog_url: str = field(default="", repr=False)


def channels(settings: Settings) -> Channels:
    """Return the channels that the settings name; in the sandbox with none named, its inbox.

    Raises `SettingsError` where a secret cannot be read or mail is half configured.
    """
    alerts = settings.operations.alerts
    watchdog_url = alerts.watchdog_url.get_secret_value()
    if bool(alerts.email_smtp_server) != bool(alerts.email_recipients):
        problem = "email_smtp_server and email_recipients need each other; set both or neither"
        raise SettingsError("operations.alerts", [problem])
    discord_url = alerts.discord_url()
    mail = None
    if alerts.email_smtp_server:
        mail = Mail(
            smarthost=f"{alerts.email_smtp_server}:{alerts.email_smtp_port}",
            sender=alerts.email_from,
            recipients=alerts.email_recipients,
            require_tls=alerts.email_require_tls,
            username=alerts.email_username,
            password=alerts.smtp_password(),
        )
    if settings.sandbox.enabled and not discord_url and mail is None:
        discord_url = f"http://{settings.address('inbox')}{SANDBOX_DISCORD_PATH}"
        mail = Mail(settings.address("smtp"), alerts.email_from, (SANDBOX_MAILBOX,), require_tls=False)
    return Channels(discord_url, mail, watchdog_url)


def render_alertmanager(settings: Settings, assets: Path, *, out: Path) -> Files:
    """Return the files of the folder `alertmanager`; `out` is where they will lie when it runs."""
    source = assets / "alertmanager"
    found = channels(settings)
    password = found.mail.password if found.mail else ""
    secrets = {"discord_url": found.discord_url, "smtp_password": password, "watchdog_url": found.watchdog_url}
    files = {f"alertmanager/secrets/{name}": File(text.encode(), secret=True) for name, text in secrets.items() if text}
    for template in sorted((source / "templates").glob("*.tmpl")):
        files[f"alertmanager/templates/{template.name}"] = File(template.read_bytes())
    document = yaml.safe_load((source / "alertmanager.yml").read_text("utf-8"))
    _scale_waits(document["route"], settings.scale)
    _configure_mail(document, found.mail, out=out)
    for receiver in document["receivers"]:
        _configure_receiver(receiver, found, out=out)
    _mute(document, settings)
    files["alertmanager/alertmanager.yml"] = yaml_file(document)
    return files


def _scale_waits(route: dict[str, Any], scale: TimeScale) -> None:
    for key in ("group_wait", "group_interval"):
        if key in route:
            route[key] = scaled_duration(route[key], scale)
    for child in route.get("routes", []):
        _scale_waits(child, scale)


def _configure_mail(document: dict[str, Any], mail: Mail | None, *, out: Path) -> None:
    everything = document["global"]
    if mail is None:
        for key in ("smtp_smarthost", "smtp_from", "smtp_require_tls"):
            del everything[key]
        return
    everything["smtp_smarthost"] = mail.smarthost
    everything["smtp_from"] = mail.sender
    everything["smtp_require_tls"] = mail.require_tls
    if mail.username:
        everything["smtp_auth_username"] = mail.username
    if mail.password:
        everything["smtp_auth_password_file"] = _secret(out, "smtp_password")


def _configure_receiver(receiver: dict[str, Any], found: Channels, *, out: Path) -> None:
    """Keep the channels that exist. Only a page goes to two; of the others mail is the second choice."""
    discord = receiver.pop("discord_configs", None)
    mail = receiver.pop("email_configs", None)
    webhook = receiver.pop("webhook_configs", None)
    if discord and found.discord_url:
        url_file = _secret(out, "discord_url")
        receiver["discord_configs"] = [{**entry, "webhook_url_file": url_file} for entry in discord]
    if mail and found.mail and (receiver["name"] == "page" or not found.discord_url):
        recipients = ", ".join(found.mail.recipients)
        receiver["email_configs"] = [{**entry, "to": recipients} for entry in mail]
    if webhook and found.watchdog_url:
        url_file = _secret(out, "watchdog_url")
        receiver["webhook_configs"] = [{**entry, "url_file": url_file} for entry in webhook]


def _secret(out: Path, name: str) -> str:
    """Return the absolute path: Alertmanager reads these names from where it was started, not from beside the file."""
    return str(out / "alertmanager" / "secrets" / name)


def _mute(document: dict[str, Any], settings: Settings) -> None:
    alerts = settings.operations.alerts
    if not alerts.enabled:
        document["route"] = {"receiver": "none"}
        return
    wanted = {
        _PAUSE_ALERTS: alerts.alert_on_pause,
        _KILL_ALERTS: alerts.alert_on_kill_switch,
        _ROTATION_ALERTS: alerts.alert_on_model_rotation,
    }
    muted = [names for names, on in wanted.items() if not on]
    if muted:
        route = {"receiver": "none", "matchers": [f'alertname=~"{"|".join(muted)}"']}
        document["route"]["routes"].insert(0, route)
