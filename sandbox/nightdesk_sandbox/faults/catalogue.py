"""All faults there are, and how a request names one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from nightdesk_sandbox.fault_request import read_fault
from nightdesk_sandbox.faults.connection import (
    ClockOffset,
    Drop,
    Error500,
    StreamSilence,
    TooManyRequests,
    WrongAnswer,
)
from nightdesk_sandbox.faults.markets import Delisted, Impossible
from nightdesk_sandbox.faults.stream import Duplicate, Late, Malformed, MissingCandles, OutOfOrder, Revised
from nightdesk_sandbox.faults.world import PriceShock

# The order matters where several are on: an update passes through them from the first to the last.
AnyFault = (
    PriceShock
    | Impossible
    | Delisted
    | Revised
    | OutOfOrder
    | Late
    | MissingCandles
    | Duplicate
    | ClockOffset
    | Malformed
    | StreamSilence
    | Drop
    | Error500
    | TooManyRequests
    | WrongAnswer
)

_ADAPTER: TypeAdapter[AnyFault] = TypeAdapter(Annotated[AnyFault, Field(discriminator="name")])


def parse_fault(body: bytes) -> AnyFault:
    """Return the fault that a request asks for, such as `{"name": "drop", "seconds": 10}`.

    Raises `FaultError` that names what is wrong.
    """
    return read_fault(body, _ADAPTER)
