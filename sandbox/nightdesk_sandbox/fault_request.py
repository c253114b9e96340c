"""How a request for a fault is read, of the exchange's as of the inbox's."""

from __future__ import annotations

from typing import TypeVar

from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError
from pydantic import TypeAdapter, ValidationError

from nightdesk_sandbox.errors import FaultError

Fault = TypeVar("Fault")


def read_fault(body: bytes, kinds: TypeAdapter[Fault]) -> Fault:
    """Return the fault that a request asks for, of `kinds` that are told apart by `name`.

    Raises `FaultError` that names what is wrong.
    """
    try:
        return kinds.validate_python(parse_json(body, source="body"))
    except InputError as error:
        raise FaultError(str(error)) from error
    except ValidationError as error:
        problems = []
        for item in error.errors():
            # The first place is the fault's name, by which its class was chosen.
            place = "name" if item["type"].startswith("union_tag") else ".".join(map(str, item["loc"][1:])) or "body"
            problems.append(f"{place}: {item['msg']}")
        raise FaultError("; ".join(problems)) from error
