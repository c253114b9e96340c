"""Keeps secrets out of what a server of somebody else's logs: Alertmanager quotes the URL of each failed delivery.

`python -m nightdesk.stack.log_filter <file or folder>… -- <command>…` becomes the command, with the process id that it
was started with; a child of it reads what the command writes and passes it on. The secrets lie in files, so that no
command line holds one. Where the filter ends, the server cannot log, and ends, too: it is started again with a new one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nightdesk_core.files.reader import InputError, read_text
from nightdesk_core.secrets.redaction import Redaction

_LONGEST_LINE_BYTES = 65_536
_LARGEST_SECRET_BYTES = 100_000


def filtered(command: Sequence[str], *, secrets: Sequence[Path]) -> list[str]:
    """Return a command whose output goes through the filter; `secrets` are files that hold one each, or folders."""
    return [sys.executable, "-m", __name__, *map(str, secrets), "--", *command]


class _Secrets:
    """The secrets of some files. One that has changed is read anew, and what it held before stays secret."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places
        self._read: dict[Path, int] = {}
        self._texts: set[str] = set()
        self._redaction = Redaction(())

    def hide(self, line: str) -> str:
        """Return a line without secrets."""
        changed = False
        for path, stamp in self._files():
            if self._read.get(path) != stamp:
                with suppress(InputError):
                    self._texts.add(read_text(path, largest=_LARGEST_SECRET_BYTES).strip())
                self._read[path], changed = stamp, True
        if changed:
            self._redaction = Redaction(self._texts)
        return self._redaction.text(line)

    def _files(self) -> Iterator[tuple[Path, int]]:
        for place in self._places:
            for path in sorted(place.iterdir()) if place.is_dir() else [place]:
                with suppress(OSError):
                    yield path, path.stat().st_mtime_ns


def main(arguments: Sequence[str]) -> None:
    """Become the command, with a child that filters what it writes."""
    middle = arguments.index("--")
    places, command = [Path(place) for place in arguments[:middle]], list(arguments[middle + 1 :])
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.close(writes)
        _pass_on(reads, _Secrets(places))
        os._exit(0)
    os.close(reads)
    os.dup2(writes, 1)
    os.dup2(writes, 2)
    os.close(writes)
    os.execvp(command[0], command)  # noqa: S606 - the server, as the supervisor was told


def _pass_on(reads: int, secrets: _Secrets) -> None:
    """Write each line that comes to where the server's would have gone, until the server has ended."""
    # The last words of a server that is being stopped are to be heard.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(reads, "rb") as lines:
        while line := lines.readline(_LONGEST_LINE_BYTES):
            said = secrets.hide(line.decode(errors="surrogateescape"))
            with suppress(OSError):  # a full disk: the server goes on
                os.write(1, said.encode(errors="surrogateescape"))


if __name__ == "__main__":
    main(sys.argv[1:])
