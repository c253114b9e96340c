"""All faults there are, and how a request names one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from nightdesk_sandbox.errors import FaultError
from nightdesk_sandbox.faults.connection import ClockOffset, Drop, Error500, RateLimit, Silence
from nightdesk_sandbox.faults.stream import Duplicate, Gap, Late, Malformed, OutOfOrder, Revised
from nightdesk_sandbox.faults.world import PriceShock

# The order matters where several are on: an update passes through them from the first to the last.
AnyFault = (
    PriceShock
    | Revised
    | OutOfOrder
    | Late
    | Gap
    | Duplicate
    | ClockOffset
    | Malformed
    | Silence
    | Drop
    | Error500
    | RateLimit
)

_ADAPTER: TypeAdapter[AnyFault] = TypeAdapter(Annotated[AnyFault, Field(discriminator="name")])


def parse_fault(body: bytes) -> AnyFault:
    """Return the fault that a request asks for, such as `{"name": "drop", "seconds": 10}`.

    Raises `FaultError` that names what is wrong.
    """
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        problems = []
        for item in error.errors():
            # The first place is the fault's name, by which its class was chosen.
            place = "name" if item["type"].startswith("union_tag") else ".".join(map(str, item["loc"][1:])) or "body"
            problems.append(f"{place}: {item['msg']}")
        raise FaultError("; ".join(problems)) from error
