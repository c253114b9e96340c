"""Basic authentication against bcrypt hashes."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from nightdesk_exporter.web.executor import CoalescingExecutor

_MOST_REMEMBERED = 100
_LONGEST_BYTES = 72
"""bcrypt looks at no more of a password; the package raises for longer ones."""
_HASH_CHARACTERS = 31
_COST = slice(4, 6)


@dataclass(frozen=True)
class _Credentials:
    """What was given: whether its name is a user's, the hash to compare with, and what it is remembered by."""

    has_user: bool
    against: bytes
    password: bytes
    digest: bytes


class Passwords:
    """Checks passwords, each pair of hash and password once: bcrypt is slow by design, scrapes come every second.

    What is remembered is a keyed digest, never a password. Right and wrong ones are kept apart, so that guessing cannot
    crowd out who is known. Hashes are made one at a time, on the executor's thread: however many guess, no more than
    one processor is at it.
    """

    def __init__(self, executor: CoalescingExecutor) -> None:
        self._executor = executor
        self._key = secrets.token_bytes(32)
        # In the order of their coming. Only the executor's thread writes them.
        self._right: dict[bytes, None] = {}
        self._wrong: dict[bytes, None] = {}

    def is_known(self, authorization: str, users: Mapping[str, str]) -> bool:
        """Return whether the header `Authorization` is remembered as right. It costs no hash."""
        given = self._given(authorization, users)
        return given is not None and given.digest in self._right

    async def allow(self, authorization: str, users: Mapping[str, str]) -> bool:
        """Return whether the header `Authorization` names a user and their password.

        An unknown name costs the same hash as a known one. Raises `BusyError` where too many hashes wait.
        """
        given = self._given(authorization, users)
        if given is None:
            return False
        if given.digest in self._right:
            return True
        if given.digest in self._wrong:
            return False
        # Whoever asked may be gone before it is made: then it is remembered for the next time.
        return await self._executor.do(given.digest, lambda: self._check(given))

    def _check(self, given: _Credentials) -> bool:
        allowed = _matches(given.against, given.password) and given.has_user
        remembered = self._right if allowed else self._wrong
        remembered[given.digest] = None
        if len(remembered) > _MOST_REMEMBERED:
            remembered.pop(next(iter(remembered)))
        return allowed

    def _given(self, authorization: str, users: Mapping[str, str]) -> _Credentials | None:
        given = _credentials(authorization)
        if given is None:
            return None
        name, password = given
        hashed = users.get(name)
        against = (hashed if hashed is not None else _nobodys(users)).encode()
        return _Credentials(hashed is not None, against, password, self._digest(name.encode(), against, password))

    def _digest(self, *parts: bytes) -> bytes:
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, "sha256")


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode("utf-8"), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _matches(hashed: bytes, password: bytes) -> bool:
    import bcrypt  # only who has users pays for it

    # It compares in constant time.
    return bcrypt.checkpw(password[:_LONGEST_BYTES], hashed)


def _nobodys(users: Mapping[str, str]) -> str:
    """Return a hash as dear as the dearest of the users', which no password is known for."""
    dearest = max(users.values(), key=lambda hashed: hashed[_COST])
    return dearest[:-_HASH_CHARACTERS] + "." * _HASH_CHARACTERS
