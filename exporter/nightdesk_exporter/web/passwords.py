"""Basic authentication against bcrypt hashes."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping

from nightdesk_exporter.web.executor import CoalescingExecutor

_MOST_REMEMBERED = 100
_LONGEST_BYTES = 72
"""bcrypt looks at no more of a password; the package raises for longer ones."""
_HASH_CHARACTERS = 31
_COST = slice(4, 6)


class Passwords:
    """Checks passwords, each pair of hash and password once: bcrypt is slow by design, scrapes come every second.

    What is remembered is a keyed digest, never a password. Right and wrong ones are kept apart, so that guessing cannot
    crowd out who is known.
    """

    def __init__(self, executor: CoalescingExecutor) -> None:
        self._executor = executor
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    async def allow(self, authorization: str, users: Mapping[str, str]) -> bool:
        """Return whether the header `Authorization` names a user and their password.

        An unknown name costs the same hash as a known one. Raises `BusyError` where too many hashes wait.
        """
        given = _credentials(authorization)
        if given is None:
            return False
        name, password = given
        hashed = users.get(name)
        against = (hashed if hashed is not None else _nobodys(users)).encode()
        digest = self._digest(name.encode(), against, password)
        for remembered, answer in ((self._right, True), (self._wrong, False)):
            if digest in remembered:
                remembered.move_to_end(digest)
                return answer
        matches = await self._executor.do(digest, lambda: _matches(against, password))
        allowed = matches and hashed is not None
        remembered = self._right if allowed else self._wrong
        remembered[digest] = None
        if len(remembered) > _MOST_REMEMBERED:
            remembered.popitem(last=False)
        return allowed

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
