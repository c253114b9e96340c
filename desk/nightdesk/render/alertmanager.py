"""Alertmanager's running configuration: the channels that the settings name, their secrets, a replay's waits."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from nightdesk_alerts.alerting import Alerting, Mail
from nightdesk_alerts.preferences import muted
from nightdesk_core.clock import TimeScale

from nightdesk.channels import Channels, channels
from nightdesk.render.files import File, Files, yaml_file
from nightdesk.render.scale import scaled_duration
from nightdesk.settings import Settings

_CHATS = ("discord", "slack", "telegram")


def render_alertmanager(settings: Settings, assets: Path, *, out: Path) -> Files:
    """Return the files of the folder `alertmanager`; `out` is where they will lie when it runs."""
    source = assets / "alertmanager"
    found = channels(settings)
    files = {f"alertmanager/secrets/{name}": File(text.encode(), secret=True) for name, text in found.secrets.items()}
    for template in sorted((source / "templates").glob("*.tmpl")):
        files[f"alertmanager/templates/{template.name}"] = File(template.read_bytes())
    document = yaml.safe_load((source / "alertmanager.yml").read_text("utf-8"))
    _scale_waits(document["route"], settings.scale)
    _configure_mail(document, found.alerting.mail, out=out)
    # What the static file shares between receivers is written out in each.
    document["receivers"] = [deepcopy(receiver) for receiver in document["receivers"]]
    for receiver in document["receivers"]:
        _configure_receiver(receiver, found, out=out)
    _mute(document, found.alerting)
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
    everything["smtp_smarthost"] = f"{mail.server}:{mail.port}"
    everything["smtp_from"] = mail.sender
    everything["smtp_require_tls"] = mail.require_tls
    if mail.username:
        everything["smtp_auth_username"] = mail.username
    if mail.password:
        everything["smtp_auth_password_file"] = _secret(out, "smtp_password")


def _configure_receiver(receiver: dict[str, Any], found: Channels, *, out: Path) -> None:
    """Keep the channels that exist. Only a page goes by mail too; of the others mail is the second choice to a chat."""
    alerting = found.alerting
    mail = alerting.mail
    if mail is None or (receiver["name"] != "page" and any(name in alerting.direct for name in _CHATS)):
        receiver.pop("email_configs", None)
    else:
        for entry in receiver.get("email_configs", []):
            entry["to"] = ", ".join(mail.recipients)
    for kind in [key for key in receiver if key.endswith("_configs")]:
        entries = [entry for entry in receiver[kind] if _has_its_secret(entry, found, out=out)]
        for entry in entries if kind == "telegram_configs" else []:
            entry["chat_id"] = int(alerting.telegram_chat_id)
            entry["api_url"] = alerting.telegram_api_url
        if entries:
            receiver[kind] = entries
        else:
            del receiver[kind]


def _has_its_secret(entry: dict[str, Any], found: Channels, *, out: Path) -> bool:
    """Return whether the secret that an entry refers to is there; the reference becomes absolute."""
    for key in [key for key in entry if key.endswith("_file")]:
        name = Path(entry[key]).name
        if name not in found.secrets:
            return False
        entry[key] = _secret(out, name)
    return True


def _secret(out: Path, name: str) -> str:
    """Return the absolute path: Alertmanager reads these names from where it was started, not from beside the file."""
    return str(out / "alertmanager" / "secrets" / name)


def _mute(document: dict[str, Any], alerting: Alerting) -> None:
    if not alerting.enabled:
        document["route"] = {"receiver": "none"}
        return
    names = muted(alerting)
    if names:
        route = {"receiver": "none", "matchers": [f'alertname=~"{"|".join(names)}"']}
        document["route"]["routes"].insert(0, route)
