"""Alertmanager's running configuration: the channels that the settings name, their secrets, a replay's waits."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from pathlib import Path
from typing import Any

from nightdesk_alerts import Alerting, Channel, Role, silenced
from nightdesk_alerts.channels import known_channels
from nightdesk_core.clock import TimeScale
from nightdesk_core.files.reader import read_bytes
from nightdesk_core.files.yaml_text import parse_yaml, read_yaml

from nightdesk.channels import Channels, channels
from nightdesk.render.files import File, Files, RenderError, yaml_file
from nightdesk.render.scale import scaled_duration
from nightdesk.render.static import PAGE, RECEIVERS, WATCHDOG, channels_by_kind
from nightdesk.settings import Settings


def render_alertmanager(settings: Settings, assets: Path, *, out: Path) -> Files:
    """Return the files of the folder `alertmanager`; `out` is where they will lie when it runs.

    Raises `RenderError` where the static file lacks a channel.
    """
    return alertmanager_files(channels(settings), assets, scale=settings.scale, out=out)


def alertmanager_files(found: Channels, assets: Path, *, scale: TimeScale, out: Path) -> Files:
    """Return the same for channels that somebody has, at a market's speed."""
    source = assets / "alertmanager"
    files = {f"alertmanager/secrets/{name}": File(text.encode(), "owner") for name, text in found.secrets.items()}
    for template in sorted((source / "templates").glob("*.tmpl")):
        files[f"alertmanager/templates/{template.name}"] = File(read_bytes(template))
    document = read_yaml(source / "alertmanager.yml")
    _scale_waits(document["route"], scale)
    _configure_global(document["global"], found.alerting)
    # What the static file shares between receivers is written out in each.
    document["receivers"] = [deepcopy(receiver) for receiver in document["receivers"]]
    for receiver in document["receivers"]:
        _configure_receiver(receiver, found)
    for section in (document["global"], document["receivers"]):
        _point_to_secrets(section, found.secrets, out / "alertmanager")
    _mute(document, found.alerting)
    files["alertmanager/alertmanager.yml"] = yaml_file(document)
    return files


def _scale_waits(route: dict[str, Any], scale: TimeScale) -> None:
    for key in ("group_wait", "group_interval"):
        if key in route:
            route[key] = scaled_duration(route[key], scale)
    for child in route.get("routes", []):
        _scale_waits(child, scale)


def _configure_global(section: dict[str, Any], alerting: Alerting) -> None:
    for kind in known_channels():
        for key in parse_yaml(kind.receiver_global, source=kind.name) or ():
            del section[key]
    for channel in alerting.channels:
        section.update(channel.global_values())


def _configure_receiver(receiver: dict[str, Any], found: Channels) -> None:
    """Keep the channels that exist."""
    if receiver["name"] == WATCHDOG and not found.watchdog_url:
        del receiver["webhook_configs"]
    if receiver["name"] not in RECEIVERS:
        return
    told = {channel.name: channel for channel in found.alerting.channels if _is_told(channel, receiver, found.alerting)}
    for key, kinds in channels_by_kind().items():
        entries = receiver.pop(key, [])
        if len(entries) != len(kinds):
            raise RenderError(f"alertmanager.yml has not one entry of {key} for each such channel; run `make docs`")
        pairs = [(told[kind.name], entry) for kind, entry in zip(kinds, entries, strict=True) if kind.name in told]
        if pairs:
            receiver[key] = [entry | channel.receiver_values() for channel, entry in pairs]


def _is_told(channel: Channel, receiver: dict[str, Any], alerting: Alerting) -> bool:
    if channel.role is not Role.SECOND_CHOICE or receiver["name"] == PAGE:
        return True
    return not any(other.role is Role.CHAT for other in alerting.channels)


def _point_to_secrets(part: Any, secrets: Collection[str], folder: Path) -> None:
    """Make the paths of secrets absolute, and leave out those that are not there.

    Alertmanager looks where it was started, not beside its configuration.
    """
    if isinstance(part, list):
        for item in part:
            _point_to_secrets(item, secrets, folder)
    elif isinstance(part, dict):
        for key, value in list(part.items()):
            if not key.endswith("_file"):
                _point_to_secrets(value, secrets, folder)
            elif Path(value).name in secrets:
                part[key] = str(folder / value)
            else:
                del part[key]


def _mute(document: dict[str, Any], alerting: Alerting) -> None:
    if not alerting.enabled:
        document["route"] = {"receiver": "none"}
        return
    names = silenced(alerting)
    if names:
        route = {"receiver": "none", "matchers": [f'alertname=~"{"|".join(names)}"']}
        document["route"]["routes"].insert(0, route)
