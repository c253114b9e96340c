"""Where alerts go and which of them: plain data, for people without the settings file. No secret is in a repr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightdesk_alerts.channel import Channel


@dataclass(frozen=True, init=False)
class Alerting:
    """Every Alertmanager, every direct channel, and what a person wants to hear of."""

    alertmanagers: tuple[str, ...] = field(repr=False)
    channels: tuple[Channel, ...]
    enabled: bool
    on_pause: bool
    on_kill_switch: bool
    on_model_rotation: bool

    def __init__(
        self,
        *,
        alertmanagers: tuple[str, ...] = (),
        channels: tuple[Channel, ...] = (),
        enabled: bool = True,
        on_pause: bool = True,
        on_kill_switch: bool = True,
        on_model_rotation: bool = True,
        **by_keyword: Any,
    ) -> None:
        """Channels may be given by keyword, too: by the keys of the settings, or whole by their names.

        `discord_webhook_url=…`, `telegram_bot_token=…, telegram_chat_id=…`, `mail=Mail(…)`: `docs/alerts.md` has them.
        Half of a channel is none, as is an empty text. Raises `TypeError` for a keyword that no channel has.
        """
        values = {
            "alertmanagers": alertmanagers,
            "channels": (*channels, *_channels(by_keyword)),
            "enabled": enabled,
            "on_pause": on_pause,
            "on_kill_switch": on_kill_switch,
            "on_model_rotation": on_model_rotation,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def direct(self) -> tuple[str, ...]:
        """The names of the direct channels that there are."""
        return tuple(channel.name for channel in self.channels)


def _channels(by_keyword: Mapping[str, Any]) -> Iterator[Channel]:
    """Yield the channels that keywords make."""
    if not by_keyword:
        return
    # Loaded here: somebody who only measures does not pay for the channels.
    from nightdesk_alerts.channels import known_channels

    kinds = known_channels()
    known = {kind.name for kind in kinds} | {each.key for kind in kinds for each in kind.settings().values()}
    if unknown := sorted(set(by_keyword) - known):
        raise TypeError(
            f"Alerting() has no {', '.join(unknown)}; the channels' keywords are {', '.join(sorted(known))}"
        )
    for kind in kinds:
        found = by_keyword.get(kind.name) or kind.of(by_keyword)
        if found is not None:
            yield found
