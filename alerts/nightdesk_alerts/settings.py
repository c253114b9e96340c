"""Settings of alerts: which of them a person wants, and the channels that they go to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_origin, get_type_hints

from nightdesk_core.settings import SettingsError, SettingsModel, read_secret
from pydantic import BeforeValidator, Field, SecretStr, create_model

from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.channel import Channel, Setting
from nightdesk_alerts.channels import known_channels


class AlertPreferences(SettingsModel):
    """Which alerts a person wants, and where the heartbeat goes."""

    enabled: bool = Field(True, description="Off: alerts are evaluated and shown, and sent to nobody.")
    alert_on_pause: bool = Field(True, description="Tell when the performance guard throttles or pauses the bot.")
    alert_on_kill_switch: bool = Field(True, description="Tell when the kill switch is active.")
    alert_on_model_rotation: bool = Field(True, description="Tell when a model is promoted, kept or rolled back.")
    watchdog_url: SecretStr = Field(
        SecretStr(""), description="An external heartbeat that the Watchdog alert is sent to."
    )
    watchdog_url_file: Path | None = Field(None, description="A file that holds the heartbeat's URL.")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _keys(channel: type[Channel]) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and `Field` of each key that a channel has in the settings."""
    types = get_type_hints(channel)
    for part in fields(channel):
        setting: Setting | None = channel.settings().get(part.name)
        if setting is None:
            continue
        kind = types[part.name]
        default = (get_origin(kind) or kind)() if part.default is MISSING else part.default
        if setting.secret is None:
            limits: dict[str, Any] = {"pattern": setting.pattern, "ge": setting.least, "le": setting.most}
            if setting.several:
                kind = Annotated[kind, BeforeValidator(_listed)]
            if setting.digits:
                limits["coerce_numbers_to_str"] = True
            yield setting.key, kind, Field(default, description=setting.description, **limits)
        else:
            yield setting.key, SecretStr, Field(SecretStr(default), description=setting.description)
            about = f"A file that holds {setting.secret.what}."
            yield f"{setting.key}_file", Path | None, Field(None, description=about)


if TYPE_CHECKING:
    _WithChannels = AlertPreferences
else:
    _WithChannels = create_model(
        "_WithChannels",
        __base__=AlertPreferences,
        **{key: (kind, field) for channel in known_channels() for key, kind, field in _keys(channel)},
    )


class AlertSettings(_WithChannels):
    """Which alerts a person wants, and where they go. A channel is there once its keys are set."""

    def secret(self, key: str) -> str:
        """Return a secret from its file where one is named, else as it stands here; empty where there is none.

        Raises `SettingsError` where the file cannot be read.
        """
        return read_secret(getattr(self, key), getattr(self, f"{key}_file"), key=f"{key}_file")

    def alerting(self, *, alertmanagers: tuple[str, ...] = ()) -> Alerting:
        """Return the channels and preferences as `AlertSender` takes them, the secrets read from their files.

        Raises `SettingsError` with every channel of which there is only half, or where a secret cannot be read.
        """
        channels, problems = [], []
        for kind in known_channels():
            needed = kind.needed()
            empty = [setting for setting in needed if not self._value(setting)]
            if not empty:
                values = {setting.key: self._value(setting) for setting in kind.settings().values()}
                channels.append(kind.of(values))
            elif len(empty) < len(needed) and not any(self._is_in_file(setting) for setting in empty):
                keys = [setting.key for setting in needed]
                both = "both or neither" if len(keys) == 2 else "all or none"
                problems.append(f"{', '.join(keys[:-1])} and {keys[-1]} need each other; set {both}")
        if problems:
            raise SettingsError("operations.alerts", problems)
        return Alerting(
            alertmanagers=alertmanagers,
            channels=tuple(filter(None, channels)),
            enabled=self.enabled,
            on_pause=self.alert_on_pause,
            on_kill_switch=self.alert_on_kill_switch,
            on_model_rotation=self.alert_on_model_rotation,
        )

    def _value(self, setting: Setting) -> Any:
        return self.secret(setting.key) if setting.secret else getattr(self, setting.key)

    def _is_in_file(self, setting: Setting) -> bool:
        """Return whether a file is named for it. An empty one is a channel that is not there, as in Compose."""
        return setting.secret is not None and getattr(self, f"{setting.key}_file") is not None
