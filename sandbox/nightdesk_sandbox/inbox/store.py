"""What the inbox has received: the last messages, in memory and on disk, until they are cleared."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_core.clock import WallClock, iso
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.json_text import DEEPEST, parse_json
from nightdesk_core.files.permissions import make_folder
from nightdesk_core.files.reader import InputError, MissingInputError, open_to_append, read_bytes

from nightdesk_sandbox.errors import SandboxError
from nightdesk_sandbox.inbox.change import Change
from nightdesk_sandbox.inbox.labels import Labels, labels_in
from nightdesk_sandbox.inbox.message import Channel, Message

KEPT = 1000
"""Messages kept in memory. The file holds up to twice as many."""

_FILE_NAME = "inbox.jsonl"
_LARGEST_BYTES = 200_000_000


class Inbox:
    """Takes messages and answers for them. `clock` is wall time.

    The file has one message a line. A line `{"last_id": N}` stands first where messages before it were removed, so that
    an id is never given twice.
    """

    def __init__(self, folder: Path, *, clock: WallClock) -> None:
        self._path = folder / _FILE_NAME
        self._clock = clock
        self._messages: deque[Message] = deque(maxlen=KEPT)
        self._last_id = 0
        self._lines = 0
        """In the file, of messages."""
        self.clearings = 0
        """How often all messages were forgotten since the start."""
        self.changed = Change()
        """Told of every message that comes, and when all are forgotten."""
        self._load()

    @property
    def last_id(self) -> int:
        """The id of the newest message there ever was; 0 where there was none."""
        return self._last_id

    def add(
        self,
        channel: Channel,
        *,
        title: str,
        text: str,
        raw: Any,
        to: str = "",
        html: str | None = None,
        labels: Labels | None = None,
    ) -> Message:
        """Take a message and return it as kept. Without `labels`, they are read from its words."""
        message = Message(
            id=self._last_id + 1,
            received_at=iso(self._clock()),
            channel=channel,
            title=title,
            text=text,
            html=html,
            raw=raw,
            to=to,
            **(labels_in(title, text) if labels is None else labels),
        )
        self._last_id = message.id
        self._messages.append(message)
        self._append(message)
        self._lines += 1
        if self._lines > 2 * KEPT:
            self._shorten()
        self.changed.notify()
        logger.info("{} message {}: {!r}", channel, message.id, title or text[:80])
        return message

    def get(self, message_id: int) -> Message | None:
        """Return one message, None where there is none of that id (any more)."""
        return next((message for message in self._messages if message.id == message_id), None)

    def find(
        self,
        *,
        since_id: int = 0,
        channel: str = "",
        severity: str = "",
        status: str = "",
        bot: str = "",
        contains: str = "",
    ) -> list[Message]:
        """Return the messages after `since_id`, oldest first, that have all the given labels and the words `contains`.

        An empty label is any.
        """
        wanted = {"channel": channel, "severity": severity, "status": status, "bot": bot}
        return [
            message
            for message in self._messages
            if message.id > since_id
            and all(not value or getattr(message, name) == value for name, value in wanted.items())
            and message.contains(contains)
        ]

    def clear(self) -> None:
        """Forget all messages. Ids go on from where they were."""
        self._messages.clear()
        self.clearings += 1
        self._rewrite()
        self.changed.notify()

    def _load(self) -> None:
        try:
            text = read_bytes(self._path, largest=_LARGEST_BYTES).decode(errors="replace")
        except MissingInputError:
            return
        except InputError as error:
            raise SandboxError(str(error)) from error
        # Not by `splitlines`: a message may hold other line breaks than the one that ends its line.
        for message in self._read([line for line in text.split("\n") if line]):
            self._messages.append(message)
            self._last_id = max(self._last_id, message.id)
        self._rewrite()

    def _read(self, lines: list[str]) -> Iterator[Message]:
        for number, line in enumerate(lines, start=1):
            try:
                # What a message holds was as deep as may be where it came, and lies within it here.
                fields = parse_json(line, source="line", deepest=DEEPEST + 1)
                if "last_id" in fields:
                    self._last_id = max(self._last_id, int(fields["last_id"]))
                else:
                    yield Message.model_validate(fields)
            except (InputError, ValueError, TypeError) as error:
                # A torn last line after a crash. What it said is lost, the rest is not.
                logger.warning(
                    "{} line {} is not a message and is dropped ({})", self._path, number, type(error).__name__
                )

    def _append(self, message: Message) -> None:
        try:
            make_folder(self._path.parent)
            with open_to_append(self._path) as file:
                file.write((message.model_dump_json() + "\n").encode())
        except (InputError, OSError) as error:
            # It is still in memory and on the page: who sent it must not be told that it failed.
            logger.error("message {} cannot be kept ({})", message.id, error)

    def _shorten(self) -> None:
        try:
            self._rewrite()
        except OSError as error:
            logger.error("{} cannot be shortened ({}), and grows until it can", self._path, error)

    def _rewrite(self) -> None:
        lines = [json.dumps({"last_id": self._last_id}), *(message.model_dump_json() for message in self._messages)]
        write_atomic(self._path, ("\n".join(lines) + "\n").encode())
        self._lines = len(self._messages)
