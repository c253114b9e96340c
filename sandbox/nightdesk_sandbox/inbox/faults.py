"""Faults that the inbox can be made to have: how the real services fail, or keep their senders waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal
from weakref import WeakSet

from nightdesk_core.units import DAY_SECONDS
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nightdesk_sandbox.fault_request import read_fault
from nightdesk_sandbox.inbox.change import Change
from nightdesk_sandbox.inbox.message import Channel, ChannelOrAny


class InboxFault(BaseModel):
    """One fault, as it was asked for: on `channel` for `seconds`, or until it has met `count` messages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    channel: ChannelOrAny = "any"
    seconds: float = Field(gt=0, le=DAY_SECONDS, allow_inf_nan=False)
    count: int | None = Field(None, ge=1)

    def concerns(self, channel: Channel) -> bool:
        """Return whether a message of `channel` meets this fault."""
        return self.channel in ("any", channel)


class RateLimit(InboxFault):
    """Every message is one too many: HTTP 429 and SMTP 451.

    Senders are told to come back after `retry_after_seconds`; by default when the fault ends.
    """

    name: Literal["rate_limit"]
    retry_after_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)


class Error500(InboxFault):
    """The service is broken: HTTP `status`, SMTP 421 and the end of the connection."""

    name: Literal["error500"]
    status: int = Field(500, ge=500, le=599)


class Silence(InboxFault):
    """Messages are read and never answered; the connection ends with the fault.

    They are lost, or, with `taken`, kept without their senders' knowing: who sends again sends twice.
    """

    name: Literal["silence"]
    taken: bool = False


class Slow(InboxFault):
    """Every answer comes `delay_seconds` late."""

    name: Literal["slow"]
    delay_seconds: float = Field(5, gt=0, le=600, allow_inf_nan=False)


class Refuse(InboxFault):
    """Messages are refused for good, for a `reason` that the service has: of Slack's `channel_is_archived`."""

    name: Literal["refuse"]
    channel: Channel
    reason: str


AnyFault = RateLimit | Error500 | Silence | Slow | Refuse

_ADAPTER: TypeAdapter[AnyFault] = TypeAdapter(Annotated[AnyFault, Field(discriminator="name")])


def parse_fault(body: bytes) -> AnyFault:
    """Return the fault that a request asks for, such as `{"name": "slow", "channel": "slack", "seconds": 10}`.

    Raises `FaultError` that names what is wrong.
    """
    return read_fault(body, _ADAPTER)


@dataclass(eq=False)
class ActiveFault:
    """A fault that is on until `until`; `cleared` is set where it was ended before its time."""

    fault: AnyFault
    until: float
    left: int | None
    cleared: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class MetFault:
    """A fault that one message has met, with what was left of its time."""

    active: ActiveFault
    remaining_seconds: float

    @property
    def fault(self) -> AnyFault:
        """The fault itself."""
        return self.active.fault

    async def hold(self, seconds: float) -> None:
        """Wait for `seconds`, or until the fault is cleared."""
        try:
            async with asyncio.timeout(seconds):
                await self.active.cleared.wait()
        except TimeoutError:
            return


class InboxFaults:
    """The faults that are on. `clock` gives seconds that never go back; `changed` is told when they change."""

    def __init__(self, *, clock: Callable[[], float], changed: Change) -> None:
        self._clock = clock
        self._changed = changed
        self._on: dict[str, ActiveFault] = {}
        self._begun: WeakSet[ActiveFault] = WeakSet()
        """Also those that are over, as long as a message that met them still waits."""

    def start(self, fault: AnyFault) -> None:
        """Have a fault from now on, in place of the one of the same name and channel."""
        key = f"{fault.name}:{fault.channel}"
        if (former := self._on.get(key)) is not None:
            former.cleared.set()
        self._on[key] = ActiveFault(fault, self._clock() + fault.seconds, fault.count)
        self._begun.add(self._on[key])
        self._changed.notify()

    def clear(self, channel: str = "") -> None:
        """End all faults, or those that were started for one channel, and let go of the messages that wait."""
        for active in self._begun:
            if channel in ("", active.fault.channel):
                active.cleared.set()
        self._changed.notify()

    def remaining_seconds(self) -> dict[str, float]:
        """Return how long each fault lasts, by its name and channel: `rate_limit:discord`."""
        now = self._clock()
        return {key: active.until - now for key, active in self._active().items()}

    def meet(self, channel: Channel) -> list[MetFault]:
        """Count a message, and return the faults that it meets: those that make it wait come first."""
        now = self._clock()
        active = self._active()
        met = {key: found for key, found in active.items() if found.fault.concerns(channel)}
        for key, found in met.items():
            if found.left is not None:
                found.left -= 1
                if found.left == 0:
                    del self._on[key]
                    self._changed.notify()
        waiting_first = sorted(met.values(), key=lambda found: not isinstance(found.fault, Slow))
        return [MetFault(found, found.until - now) for found in waiting_first]

    def _active(self) -> dict[str, ActiveFault]:
        now = self._clock()
        self._on = {
            key: active for key, active in self._on.items() if active.until > now and not active.cleared.is_set()
        }
        return dict(self._on)
