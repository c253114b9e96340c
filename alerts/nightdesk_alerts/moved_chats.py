"""Where chats have moved to: a Telegram group that becomes a supergroup has another number from then on.

One file, beside the spool, that bot, job and command line share: a person is told to put the new number into the
settings, and until that is done it is used in place of the old one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from loguru import logger
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import LockTimeoutError, locked, write_json_atomic
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, MissingInputError

from nightdesk_alerts.channel import Channel, ChatChannel

AnyChannel = TypeVar("AnyChannel", bound=Channel)
FILE_NAME = "moved_chats.json"
_NUMBER = re.compile(r"-[1-9][0-9]{0,18}")
_LARGEST_BYTES = 100_000
_LOCK_SECONDS = 2.0


class MovedChats:
    """The chats that have moved, by number. Without a path they are remembered for as long as the program runs."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._moves: dict[str, str] = {}
        self._damaged = False
        """Whether the file cannot be read, which is logged once."""

    def now_at(self, chat: str) -> str:
        """Return the number of a chat today. A file that is damaged says nothing, which is logged."""
        moves = {**self._read(), **self._moves}
        seen = {chat}
        while (found := moves.get(chat)) is not None and found not in seen:
            chat = found
            seen.add(chat)
        return chat

    def follow(self, channel: AnyChannel) -> AnyChannel:
        """Return a channel, with its chat, where it has one, at the number that it has today."""
        return channel.at(self.now_at(channel.place)) if isinstance(channel, ChatChannel) else channel

    def remember(self, old: str, new: str) -> None:
        """Keep that a chat has moved; where the disk does not take it, in memory. Never raises.

        A chat that another moves to is where it says to be: what was known of a move from there holds no more.
        """
        self._moves = _with_move(self._moves, old, new)
        if self._path is None:
            return
        try:
            with locked(self._path.with_name(f".{self._path.name}.lock"), timeout_seconds=_LOCK_SECONDS):
                write_json_atomic(self._path, _with_move(self._read(), old, new), readers="owner")
        except OSError as error:
            logger.error("alerts: {} cannot be written ({})", self._path, reason_of(error))
        except LockTimeoutError as error:
            logger.error("alerts: {}", error)

    def _read(self) -> Mapping[str, str]:
        if self._path is None:
            return {}
        try:
            found = read_json(self._path, largest=_LARGEST_BYTES)
        except MissingInputError:
            return {}
        except InputError as error:
            if not self._damaged:
                logger.error("alerts: where chats have moved to is not known ({}); remove it", error)
            self._damaged = True
            return {}
        if not isinstance(found, dict):
            return {}
        return {old: new for old, new in found.items() if isinstance(new, str) and is_group(old) and is_group(new)}


def _with_move(moves: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    return {chat: place for chat, place in {**moves, old: new}.items() if chat != new}


def is_group(chat: str) -> bool:
    """Return whether a number is that of a group."""
    return _NUMBER.fullmatch(chat) is not None
