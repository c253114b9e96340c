"""Requests and answers as HTTP/1 writes them. What is not plainly well-formed is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

HEAD_BYTES = 16_384
"""Largest request line and headers together. Prometheus sends about 300 bytes; browsers' cookies reach a few kB."""

_MOST_HEADERS = 64
_MOST_FIELDS = 1_000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_TARGET = re.compile(r"[!-~]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_SINGLE = ("host", "authorization", "content-length")


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
class Request:
    """One request. `headers` have lower-case names; `keep_alive` says whether the client means to ask again."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    keep_alive: bool


@dataclass(frozen=True)
class Answer:
    """One answer, before it is known how the connection goes on."""

    status: int
    body: bytes
    headers: Headers

    def encoded(self, *, head_only: bool, keep_alive: bool, extra: Headers) -> bytes:
        """Return the bytes to send. `extra` headers come from the web configuration file, and go before the page's."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        replaced = {name.lower() for name, _ in extra}
        own = [(name, value) for name, value in self.headers if name.lower() not in replaced]
        headers = (*own, ("Content-Length", str(len(self.body))), ("Cache-Control", "no-store"), *extra)
        lines += [f"{name}: {value}" for name, value in headers]
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1") + (b"" if head_only else self.body)


def json_answer(status: int, value: Any, headers: Headers = ()) -> Answer:
    """Return `value` as indented JSON."""
    body = json.dumps(value, indent=2).encode() + b"\n"
    return Answer(status, body, (("Content-Type", "application/json"), *headers))


def parse(head: bytes) -> Request:
    """Return the request whose line and headers are `head`, the empty line included.

    Raises `RefusedError` where it is malformed, of another protocol, or announces a body.
    """
    line, *fields = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = _request_line(line)
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise RefusedError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    headers = _headers(fields)
    if version == "HTTP/1.1" and "host" not in headers:
        raise RefusedError(400, "the Host header is missing")
    _refuse_body(headers)
    try:
        parts = urlsplit(target)
        query = parse_qs(parts.query, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RefusedError(400, "the address is malformed") from None
    wishes = {wish.strip().lower() for wish in headers.get("connection", "").split(",")}
    keep_alive = "close" not in wishes if version == "HTTP/1.1" else "keep-alive" in wishes
    return Request(method, parts.path, query, headers, keep_alive)


def _request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise RefusedError(400, "the request line is malformed")
    return parts[0], parts[1], parts[2]


def _headers(fields: list[str]) -> dict[str, str]:
    if len(fields) > _MOST_HEADERS:
        raise RefusedError(431, f"more than {_MOST_HEADERS} headers")
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise RefusedError(400, "a header is malformed")
        key, value = name.lower(), value.strip(" \t")
        if key in headers and key in _SINGLE:
            raise RefusedError(400, f"the header {key} is there twice")
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _refuse_body(headers: Mapping[str, str]) -> None:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise RefusedError(400, "Content-Length is no number")
    if "transfer-encoding" in headers or length.strip("0"):
        raise RefusedError(413, "requests have no body here")
