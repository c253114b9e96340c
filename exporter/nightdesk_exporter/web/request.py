"""Requests and responses, and what a request may be. HTTP itself is h11's; refused is what it would let pass.

h11 is lenient where a server may be: it unfolds headers, takes control characters in them and looks at as many as there
are, and blanks before a character that may not be there cost it the square of their number: 16 kB of them take 0.9
seconds, in which the bot's loop waits. So whatever h11 is given has passed `_refuse_odd`, which takes linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h11

HEAD_BYTES = 16_384
"""Largest request line and headers together. Prometheus sends about 300 bytes; browsers' cookies reach a few kB."""

_MOST_HEADERS = 64
MOST_FIELDS = 1_000
_VERSIONS = (b"1.0", b"1.1")
_ODD = re.compile(rb"[^\t\r\n -~\x80-\xff]|\r(?!\n)|(?<!\r)\n|\n[\t ]|[\t ]{32}")
"""Control characters, half line ends, folded headers, and more blanks than anybody needs."""
_REASONS = {
    "illegal request line": "the request line is malformed",
    "illegal header line": "a header is malformed",
    "Missing mandatory Host": "the Host header is missing",
    "Found multiple Host": "the header host is there twice",
    "bad Content-Length": "Content-Length is no number",
}
"""By how h11 begins to say it."""

Headers = tuple[tuple[str, str], ...]
"""Names with their values, in the order in which they are sent."""


class RefusedError(Exception):
    """A request is answered with `status` and `reason`, and its connection is closed."""

    def __init__(self, status: int, reason: str, headers: Headers = ()) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        super().__init__(f"{status} {reason}")


@dataclass(frozen=True)
class HttpRequest:
    """One request. `headers` have lower-case names; `hosts` are the names by which it says that it asks."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class HttpResponse:
    """One response, before it is known how the connection goes on."""

    status: int
    body: bytes
    headers: Headers


def json_response(status: int, value: Any, headers: Headers = ()) -> HttpResponse:
    """Return `value` as indented JSON."""
    body = json.dumps(value, indent=2).encode() + b"\n"
    return HttpResponse(status, body, (("Content-Type", "application/json"), *headers))


def refusal(error: RefusedError) -> HttpResponse:
    """Return the response that tells why there is none other."""
    return json_response(error.status, {"error": error.reason}, error.headers)


def all_headers(response: HttpResponse, configured: Headers) -> list[tuple[str, str]]:
    """Return a response's headers; one of the web configuration file takes the place of the response's own."""
    replaced = {name.lower() for name, _ in configured}
    own = [(name, value) for name, value in response.headers if name.lower() not in replaced]
    return [*own, ("Content-Length", str(len(response.body))), ("Cache-Control", "no-store"), *configured]


def next_request(http: h11.Connection, head: bytes) -> HttpRequest:
    """Return the request whose line and headers are `head`, the empty line included.

    Raises `RefusedError` where it is malformed, of another protocol, or announces a body.
    """
    _refuse_odd(head)
    http.receive_data(head)
    try:
        event = http.next_event()
        if not isinstance(event, h11.Request):
            raise RefusedError(400, "the request is malformed")
        request = _accepted(event)
        http.next_event()  # the end of a message without a body
    except h11.RemoteProtocolError as error:
        if error.error_status_hint == 501:  # a body, in a coding that h11 does not know
            raise RefusedError(413, "requests have no body here") from None
        known = (reason for begun, reason in _REASONS.items() if str(error).startswith(begun))
        raise RefusedError(400, next(known, "the request is malformed")) from None
    return request


def _refuse_odd(head: bytes) -> None:
    line, _, fields = head.partition(b"\r\n")
    if fields.count(b"\n") - 1 > _MOST_HEADERS:  # the empty line is none
        raise RefusedError(431, f"more than {_MOST_HEADERS} headers")
    for part, what in ((line, "the request line"), (fields, "a header")):
        if _ODD.search(part):
            raise RefusedError(400, f"{what} is malformed")


def _accepted(event: h11.Request) -> HttpRequest:
    """Return a well-formed request, as far as it is one of those that are answered here."""
    if event.http_version not in _VERSIONS:
        raise RefusedError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "authorization" and name in headers:
            raise RefusedError(400, f"the header {name} is there twice")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "transfer-encoding" in headers or headers.get("content-length", "").strip("0"):
        raise RefusedError(413, "requests have no body here")
    target = event.target.decode("ascii")
    try:
        parts = urlsplit(target)
        query = parse_qs(parts.query, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise RefusedError(400, "the address is malformed") from None
    # Only HTTP/1.0 may come without a Host, and no browser speaks it.
    hosts = (headers["host"],) if "host" in headers else ()
    if target.startswith("/"):
        # What looks like a host in it, //so/, is the beginning of a path.
        return HttpRequest(event.method.decode("ascii"), target.partition("?")[0], query, headers, hosts)
    named = (parts.netloc,) if parts.netloc else ()
    return HttpRequest(event.method.decode("ascii"), parts.path or "/", query, headers, (*hosts, *named))
