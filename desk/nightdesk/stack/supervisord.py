"""supervisord that a full disk neither ends nor keeps from starting: `python -m nightdesk.stack.supervisord`.

For each line of a service that the disk does not take, supervisord prints a traceback, to a file on that disk, and ends
when that cannot be written either: then the bot would be gone, with what it holds. Here what is not taken is lost.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from nightdesk_core.files.permissions import open_file
from supervisor import loggers
from supervisor.supervisord import main

_MOST_BYTES = 1_000_000
"""What it prints is for a start that fails; nobody rotates the file that it goes to."""


class Output:
    """A text stream to a descriptor, for `_MOST_BYTES`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = _MOST_BYTES

    def write(self, text: str) -> int:
        """Write what there is room for, and never raise."""
        content = text.encode(errors="replace")[: self._left]
        self._left -= len(content)
        with suppress(OSError):
            os.write(self._descriptor, content)
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


class RotatingLog(loggers.RotatingFileHandler):  # type: ignore[misc]
    """A service's log that goes on in its file where no other can be begun.

    supervisord closes the file first. Where the next cannot be made, the error has it give up the service's pipe, and
    the service stands still once that is full.
    """

    stream: Any

    def doRollover(self) -> None:  # noqa: N802
        """Begin the next file where this one is full. Never raises `OSError`: it is tried again with the next line."""
        with suppress(OSError):
            if self.maxBytes > 0 and self.stream.tell() >= self.maxBytes:
                full, self.stream = self.stream, self._next()
                full.close()

    def _next(self) -> BinaryIO:
        fresh = Path(f"{self.baseFilename}.new")
        stream = os.fdopen(open_file(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")
        try:
            names = [self.baseFilename, *(f"{self.baseFilename}.{n}" for n in range(1, self.backupCount + 1))]
            for number in range(self.backupCount, 0, -1):
                with suppress(FileNotFoundError):
                    Path(names[number - 1]).replace(names[number])
            fresh.replace(self.baseFilename)
        except OSError:
            stream.close()
            fresh.unlink(missing_ok=True)
            raise
        return stream


if __name__ == "__main__":
    loggers.RotatingFileHandler = RotatingLog
    sys.stdout, sys.stderr = Output(1), Output(2)
    # It asks for one, as a default that our configuration replaces, and Python looks for one by writing to it.
    tempfile.tempdir = "/"
    main()
