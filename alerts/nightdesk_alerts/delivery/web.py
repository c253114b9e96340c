"""Requests that end: with time limits, without redirects, and without a secret in what is said of their failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import requests

from nightdesk_alerts.delivery.outcome import Later, Refused
from nightdesk_alerts.delivery.web_response import WebResponse

_LARGEST_BYTES = 65_536
_MALFORMED = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
)


class WebError(Exception):
    """A request that got no answer. `outcome` says what follows, without the address: addresses hold secrets."""

    def __init__(self, outcome: Later | Refused) -> None:
        self.outcome = outcome
        super().__init__(outcome.problem)


class Web:
    """Requests of one lane. `near` ones go past the proxies and passwords that the environment names."""

    def __init__(self, *, timeout_seconds: float, near: bool = False) -> None:
        self.timeout_seconds = timeout_seconds
        self._session = requests.Session()
        self._session.trust_env = not near
        _hide_addresses()

    def post(self, url: str, payload: Any) -> WebResponse:
        """Post JSON. Raises `WebError`."""
        return self._request("POST", url, json=payload)

    def get(self, url: str, parameters: list[tuple[str, str]]) -> WebResponse:
        """Get what lies at an address. Raises `WebError`."""
        return self._request("GET", url, params=parameters, largest=16 * _LARGEST_BYTES)

    def signal(self, url: str, *, parameters: Mapping[str, str], body: str | None) -> WebResponse:
        """Post text, or get where there is none. Raises `WebError`."""
        if body is None:
            return self._request("GET", url, params=dict(parameters))
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return self._request("POST", url, params=dict(parameters), data=body.encode(), headers=headers)

    def _request(self, method: str, url: str, *, largest: int = _LARGEST_BYTES, **what: Any) -> WebResponse:
        deadline = time.monotonic() + self.timeout_seconds
        try:
            with self._session.request(
                method, url, timeout=self.timeout_seconds, allow_redirects=False, stream=True, **what
            ) as response:
                return WebResponse(response.status_code, response.headers, _body(response, largest, deadline))
        except _MALFORMED:
            raise WebError(Refused("its address is malformed")) from None
        except requests.RequestException as error:
            raise WebError(Later(_words(error))) from None
        except ValueError:
            raise WebError(Refused("its address is malformed")) from None


def _body(response: requests.Response, largest: int, deadline: float) -> bytes:
    body = b""
    for piece in response.iter_content(4096):
        body += piece
        if len(body) >= largest or time.monotonic() > deadline:
            break
    return body[:largest]


def _words(error: requests.RequestException) -> str:
    """Return what happened in our own words: those of requests quote the address, and with it the token."""
    match error:
        case requests.exceptions.SSLError():
            return "the TLS connection failed"
        case requests.exceptions.ConnectTimeout():
            return "no connection in time"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.ProxyError():
            return "the proxy failed"
        case requests.exceptions.ConnectionError():
            return "no connection"
    return type(error).__name__


class _NotOurs(logging.Filter):
    """Keeps urllib3 from logging, at level DEBUG, the paths that the sender's threads ask for."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record may be logged."""
        return not (record.threadName or "").startswith("nightdesk-alerts")


_FILTER = _NotOurs()


def _hide_addresses() -> None:
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_FILTER)
