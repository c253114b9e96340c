"""What a channel is: one class, in one module, that says all there is to know of one kind of place for messages.

The modules lie in `channels/`; `channels/_template.py` says in steps how to write one. Importing them loads neither
pydantic nor anything that delivers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.outcome import DeliveryOutcome, Moved
    from nightdesk_alerts.delivery.web import Web

_METADATA = "setting"


class Role(IntEnum):
    """Where a channel stands beside the others. They are listed in this order, and by name within it."""

    CHAT = 1
    """People read it."""
    PROGRAM = 2
    """A program of the person's own takes it."""
    SECOND_CHOICE = 3
    """People read it too, but where there is a chat it is only for what wakes them."""


@dataclass(frozen=True)
class Secret:
    """A setting that is a secret: Alertmanager reads it from `file_name`; `what` it is in words, as in a sentence."""

    file_name: str
    what: str
    deployed_as: str = ""
    """Its name among the secrets of `docker-compose.yml`, where that is not the setting's key."""


@dataclass(frozen=True)
class Setting:
    """A key of `operations.alerts`, and what it may hold. A secret may stand in a file, too: `<key>_file`."""

    key: str
    description: str
    secret: Secret | None = None
    pattern: str | None = None
    least: int | None = None
    most: int | None = None
    several: bool = False
    """Whether one text may stand for a list of one."""
    digits: bool = False
    """Whether it is text that YAML may read as a number."""

    @property
    def usual_key(self) -> str:
        """The key that people are advised to use."""
        return f"{self.key}_file" if self.secret else self.key


def setting(key: str, description: str, **limits: Any) -> dict[str, Setting]:
    """Return the metadata of a dataclass's field that `operations.alerts.<key>` fills; `limits` are `Setting`'s."""
    return {_METADATA: Setting(key, description, **limits)}


@dataclass(frozen=True)
class SandboxInbox:
    """Where the sandbox's inbox is: its web address, and its mail server."""

    url: str
    smtp_host: str
    smtp_port: int


@dataclass(frozen=True, kw_only=True)
class Channel(ABC):
    """A place that messages go to. An instance is one that there is: what it needs is a field without a default.

    A field holds one setting each (`metadata=setting(…)`); a field with a secret has `repr=False`.
    """

    name: ClassVar[str]
    """In `Alerting.direct`, in the log, and in the spool."""
    title: ClassVar[str]
    """What people call it, in the middle of a sentence."""
    how: ClassVar[str]
    """How a person comes by one, for `docs/alerts.md`."""
    role: ClassVar[Role]
    receiver_kind: ClassVar[str]
    """Alertmanager's word for its list of such places in a receiver: `discord_configs`."""
    receiver: ClassVar[str]
    """One entry of that list in YAML, as in the static `alertmanager.yml`, with a line `send_resolved: true`.

    A secret is a key that ends with `_file` and names `secrets/<file name>`; it is left out where there is none.
    """
    receiver_global: ClassVar[str] = ""
    """What Alertmanager's section `global` has for it, in YAML. It is left out where there is no such channel."""

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """Return its settings by the names of the fields."""
        return {each.name: each.metadata[_METADATA] for each in fields(cls) if _METADATA in each.metadata}

    @classmethod
    def needed(cls) -> list[Setting]:
        """Return the settings without which there is no such channel."""
        required = {each.name for each in fields(cls) if each.default is MISSING}
        return [found for name, found in cls.settings().items() if name in required]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self | None:
        """Return the channel of which these are the settings by key; `None` where one that it needs is empty."""
        if not all(values.get(needed.key) for needed in cls.needed()):
            return None
        return cls(**{name: values[found.key] for name, found in cls.settings().items() if found.key in values})

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets that there are, by the names of the files in which Alertmanager is given them."""
        held = {found.secret.file_name: getattr(self, name) for name, found in self.settings().items() if found.secret}
        return {file_name: text for file_name, text in held.items() if text}

    @abstractmethod
    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome | Moved:
        """Tell people, on a thread of its own, within `web.timeout_seconds`, or, by mail, four times as long.

        `Moved` only from a `ChatChannel`. Raises `WebError` where there is no answer. No outcome's words hold a secret.
        """

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with its settings, each beginning with the key. What a secret reads is not repeated."""
        yield from ()

    def receiver_values(self) -> dict[str, Any]:
        """Return what its entries in the running `alertmanager.yml` have beside, or in place of, the static ones."""
        return {}

    def global_values(self) -> dict[str, Any]:
        """Return what the running `alertmanager.yml` has for it in its section `global`."""
        return {}

    @classmethod
    def in_sandbox(cls, inbox: SandboxInbox, values: Mapping[str, Any]) -> Self | None:
        """Return it as one that writes to the sandbox's inbox, for a demo without a channel; `None` to stay out of it.

        `values` are the alerts' settings by key.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class ChatChannel(Channel):
    """A channel to a chat with a number of its own: its service can be asked for the chat, and may move it."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The number of the chat."""

    @abstractmethod
    def at(self, place: str) -> Self:
        """Return the same channel with its chat at another number."""

    @abstractmethod
    def ask(self, web: Web, *, wall: float) -> DeliveryOutcome | Moved:
        """Ask the service whether the chat takes messages, by a call that nobody reads.

        `wall` is the time by which to read what it says of when to come back. Raises `WebError` as `deliver` does.
        """
