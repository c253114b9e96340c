"""supervisord that a full disk neither ends nor keeps from starting: `python -m nightdesk.stack.supervisord`.

For each line of a service that the disk does not take, supervisord prints a traceback, to a file on that disk, and ends
when that cannot be written either: then the bot would be gone, with what it holds. Here what is not taken is lost.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress

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


if __name__ == "__main__":
    sys.stdout, sys.stderr = Output(1), Output(2)
    # It asks for one, as a default that our configuration replaces, and Python looks for one by writing to it.
    tempfile.tempdir = "/"
    main()
