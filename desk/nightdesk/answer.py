"""What the services of the stack answer over HTTP, read within bounds: another program may have taken the port."""

from __future__ import annotations

import time
from typing import Any

import requests
from nightdesk_core.json_text import parse_json
from nightdesk_core.reader import InputError

_LARGEST_BYTES = 16_000_000
_PIECE_BYTES = 65_536


def json_of(response: requests.Response, *, seconds: float = 5.0) -> Any:
    """Return the JSON that a response holds, and close it. It must have been asked for with `stream=True`.

    Raises `InputError` where it is no JSON as `parse_json` takes it, holds more than 16 MB, or still comes after
    `seconds`; `requests.RequestException` where the connection breaks.
    """
    source, body, deadline = f"the answer of {response.url}", b"", time.monotonic() + seconds
    with response:
        for piece in response.iter_content(_PIECE_BYTES):
            body += piece
            if len(body) > _LARGEST_BYTES or time.monotonic() > deadline:
                raise InputError(source, f"does not end within {seconds:g} s and {_LARGEST_BYTES:,} bytes")
    return parse_json(body, source=source)
