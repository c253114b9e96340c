"""Who may see the pages: links that work once, sessions, and the password."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque

from nightdesk_core.age import age_seconds
from nightdesk_core.clock import WallClock, WallTime
from nightdesk_core.units import HOUR_SECONDS

from nightdesk.passwords import USER

TOKEN_SECONDS = 12 * HOUR_SECONDS
SESSION_SECONDS = 12 * HOUR_SECONDS
"""A night on duty."""

_MOST_SESSIONS = 64
_MOST_GUESSES = 5
_MOST_SOURCES = 1024
_GUESS_SECONDS = 60.0
_SET_BACK_TOKEN_SECONDS = 300.0


def mint_token(password: str, *, now: WallTime) -> str:
    """Return what logs a person in once, within `TOKEN_SECONDS`. Whoever can read the password can make one."""
    issued = f"{round(now.seconds * 1000)}.{secrets.token_urlsafe(12)}"
    return f"{issued}.{_signature(password, issued)}"


def _signature(password: str, issued: str) -> str:
    return hmac.digest(password.encode(), f"login token {issued}".encode(errors="replace"), "sha256").hex()


class Access:
    """The logins of one page server. What it remembers ends with it: then everybody logs in anew.

    A session belongs to the user of this machine who began it, `peer`, where that is known: its cookie is of no use to
    another.
    """

    def __init__(self, password: str, *, clock: WallClock) -> None:
        self._password = password
        self._clock = clock
        self._started = clock()
        self._used: dict[str, WallTime] = {}
        self._sessions: OrderedDict[bytes, tuple[WallTime, int | None]] = OrderedDict()
        self._guesses: OrderedDict[tuple[int | None, str], deque[WallTime]] = OrderedDict()

    def redeem(self, token: str, *, peer: int | None) -> str | None:
        """Return a new session for a token; `None` where it is forged, spent, too old, or older than this server."""
        issued, _, signature = token.rpartition(".")
        if not hmac.compare_digest(_signature(self._password, issued).encode(), signature.encode(errors="replace")):
            return None
        now, at = self._clock(), WallTime(int(issued.partition(".")[0]) / 1000)
        self._used = {spent: when for spent, when in self._used.items() if now - when < TOKEN_SECONDS}
        if issued in self._used or not self._may_be_spent(at, now=now):
            return None
        self._used[issued] = at
        return self._begin(peer)

    def _may_be_spent(self, at: WallTime, *, now: WallTime) -> bool:
        # What was spent before the start is forgotten, so that nothing from before it may be spent now.
        if now >= self._started:
            return self._started - 1.0 <= at and age_seconds(at, now=now) < TOKEN_SECONDS
        # The clock was set back: what is from before the start cannot be told, and only a fresh link is taken.
        return age_seconds(at, now=now) < _SET_BACK_TOKEN_SECONDS

    def log_in(self, password: str, *, peer: int | None, address: str = "") -> str | None:
        """Return a new session for the right password. Raises `TooManyGuessesError`.

        Guesses are counted by user of this machine, and by address where the user is not known.
        """
        return self._begin(peer) if self._guess(password, peer=peer, address=address) else None

    def knows(self, session: str | None, *, peer: int | None) -> bool:
        """Return whether a session is one of ours, its user's, and has not ended."""
        begun, of = self._sessions.get(_digest(session or ""), (None, None))
        return begun is not None and of == peer and age_seconds(begun, now=self._clock()) < SESSION_SECONDS

    def end(self, session: str | None) -> None:
        """End a session."""
        self._sessions.pop(_digest(session or ""), None)

    def is_machine(self, authorization: str, *, peer: int | None = None, address: str = "") -> bool:
        """Return whether a header `Authorization` names the machine's user and password, as Prometheus sends it.

        Raises `TooManyGuessesError`: its password is the one that logs in, and counted with it.
        """
        scheme, _, encoded = authorization.partition(" ")
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and name == USER and self._guess(password, peer=peer, address=address)

    def _guess(self, password: str, *, peer: int | None, address: str) -> bool:
        now, source = self._clock(), (peer, address if peer is None else "")
        # By source: one bucket for all would let anybody's guesses keep Prometheus out.
        guesses = self._guesses.get(source, deque())
        if len(guesses) == _MOST_GUESSES and age_seconds(guesses[0], now=now) < _GUESS_SECONDS:
            raise TooManyGuessesError
        if hmac.compare_digest(password.encode(errors="replace"), self._password.encode()):
            return True
        self._guesses.setdefault(source, deque(maxlen=_MOST_GUESSES)).append(now)
        self._guesses.move_to_end(source)
        if len(self._guesses) > _MOST_SOURCES:
            self._guesses.popitem(last=False)
        return False

    def _begin(self, peer: int | None) -> str:
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = (self._clock(), peer)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session


class TooManyGuessesError(Exception):
    """So many wrong passwords were tried that none is looked at for a minute; a link still logs in."""


def _digest(session: str) -> bytes:
    """Return what is kept of a session: looking it up then tells nothing about it by how long it takes."""
    return hashlib.sha256(session.encode(errors="replace")).digest()
