"""What other parts of the stack answer: bounded in time and size, and a wrong answer is an error in words.

Whatever listens at a port may be overwhelmed (429), guarded (401), something else than was expected, or never end. None
of that may be more to whoever asks than an `AnswerError`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.reader import InputError
from nightdesk_core.text import line
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)

TIMEOUT_SECONDS = 2.0
_LARGEST_BYTES = 4_000_000
_LONGEST_COMPLAINT = 200
_unended = threading.BoundedSemaphore(32)
"""Questions whose answers still trickle in, after whoever asked has given up: no more of them than this."""


class AnswerError(NightdeskError):
    """A part of the stack gave no answer, or not the one that was expected; `reason` says which."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url} {reason}")


@dataclass(frozen=True)
class Answer:
    """What came from `url`, whatever its status."""

    url: str
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def read(self, model: type[M]) -> M:
        """Return the body as a model has it. Raises `AnswerError` that names the first key that is wrong."""
        if not self.ok:
            raise AnswerError(self.url, f"answers {self.status}")
        return self._read(model)

    def complaint(self, model: type[M]) -> M | None:
        """Return the body of an answer of failure, or None where it is none that is known."""
        try:
            return self._read(model)
        except AnswerError:
            return None

    def _read(self, model: type[M]) -> M:
        try:
            return model.model_validate(parse_json(self.body, source=self.url))
        except InputError as error:
            raise AnswerError(self.url, f"answers what was not expected ({line(error.reason)})") from None
        except ValidationError as error:
            raise AnswerError(self.url, f"answers what was not expected ({_first_problem(error)})") from None


def ask(
    url: str,
    *,
    method: str = "GET",
    parameters: Mapping[str, Any] | None = None,
    body: object = None,
    login: tuple[str, str] | None = None,
    trust: str | bool = True,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """Return what lies at an address of the stack; proxies of the environment are passed by. `body` is sent as JSON.

    Raises `AnswerError` where no answer has come as a whole within `timeout_seconds`, or it has no end.
    """
    if not _unended.acquire(blocking=False):
        raise AnswerError(url, "is not asked: too many earlier answers still trickle in")
    found: list[Answer | AnswerError] = []
    what = {"params": parameters, "json": body, "auth": login, "verify": trust}

    def fetch() -> None:
        try:
            found.append(_fetch(method, url, timeout_seconds, what))
        except AnswerError as error:
            found.append(error)
        finally:
            _unended.release()

    # A thread of its own: the time limits of sockets are between two bytes, and headers may trickle in for hours.
    thread = threading.Thread(target=fetch, name="nightdesk-ask", daemon=True)
    thread.start()
    thread.join(timeout_seconds + 0.5)
    if not found:
        raise AnswerError(url, f"does not answer within {timeout_seconds:g} s")
    if isinstance(found[0], AnswerError):
        raise found[0]
    return found[0]


def _fetch(method: str, url: str, timeout_seconds: float, what: dict[str, Any]) -> Answer:
    deadline = time.monotonic() + timeout_seconds
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.request(
                method, url, timeout=timeout_seconds, allow_redirects=False, stream=True, **what
            ) as response:
                content = b""
                for piece in response.iter_content(65_536):
                    content += piece
                    if len(content) > _LARGEST_BYTES:
                        raise AnswerError(url, f"answers more than {_LARGEST_BYTES / 1e6:g} MB")
                    if time.monotonic() > deadline:
                        raise AnswerError(url, f"does not answer within {timeout_seconds:g} s")
                return Answer(url, response.status_code, content)
    except (requests.RequestException, OSError, ValueError) as error:  # a file of authorities that is not there, too
        raise AnswerError(url, f"does not answer ({type(error).__name__})") from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return line(f"{place}: {first['msg']}" if place else first["msg"])[:_LONGEST_COMPLAINT]
