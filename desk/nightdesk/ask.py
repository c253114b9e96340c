"""Questions to the stack's servers, with the password of each; the answers are JSON, of a bounded size."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import requests
from nightdesk_core.errors import NightdeskError

from nightdesk.passwords import Guarded, login
from nightdesk.settings import Settings

_TIMEOUT_SECONDS = 5.0
_LARGEST_BYTES = 16_000_000
_PIECE_BYTES = 65_536


class ServerError(NightdeskError):
    """A server gives no answer that can be used."""


def ask(
    settings: Settings,
    server: Guarded,
    path: str,
    *,
    parameters: Mapping[str, str] | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Any:
    """Return the JSON that a server has at a path. Raises `ServerError`, also where the answer takes too long."""
    url, deadline = f"http://{settings.address(server)}{path}", time.monotonic() + timeout_seconds
    body = b""
    try:
        with (
            _session() as session,
            session.get(
                url,
                params=parameters,
                auth=login(settings, server),
                timeout=timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as answer,
        ):
            if answer.status_code != 200:
                raise ServerError(f"{server} at {settings.address(server)} answers {answer.status_code}{_hint(answer)}")
            for piece in answer.iter_content(_PIECE_BYTES):
                body += piece
                if len(body) > _LARGEST_BYTES or time.monotonic() > deadline:
                    raise ServerError(f"{server} at {settings.address(server)} gives no end of an answer")
        return json.loads(body)
    except requests.RequestException as error:
        raise ServerError(f"{server} at {settings.address(server)} does not answer; is the stack running?") from error
    except (ValueError, RecursionError) as error:
        raise ServerError(f"{server} at {settings.address(server)} does not answer in JSON") from error


def _session() -> requests.Session:
    """Return a session that goes past the proxies and passwords that the environment names."""
    session = requests.Session()
    session.trust_env = False
    return session


def _hint(answer: requests.Response) -> str:
    return ": its password is another; `nightdesk render`, then start it anew" if answer.status_code == 401 else ""
