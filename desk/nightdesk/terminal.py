"""What the commands print, in one place: fit to be shown, and never the end of what a command is about.

Text from elsewhere (a symbol, a reason, a server's words) is cleaned, and no markup is read in it. Whoever reads may
know fewer letters (`LANG=C`), be gone (`| head`) or have a full disk: a latch is set and recorded all the same.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from nightdesk_core.text import clean, line

_PLAIN_WIDTH = 400
"""Where there is no terminal, a table may be as wide as this."""


def say(text: object = "", *, error: bool = False) -> None:
    """Print one line; a line break within it becomes a space. `error` prints it to standard error."""
    _write(f"{line(str(text))}\n", error=error)


def document(text: str) -> None:
    """Print a text of several lines, such as JSON or Markdown, as it ends."""
    _write(clean(text))


def message(text: object) -> None:
    """Print what a person must read, of several lines perhaps, to standard error; those after the first are set in."""
    shown = clean(str(text)).replace("\n", "\n  ")
    _write(f"{shown}\n", error=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print an aligned table. At a terminal what does not fit into a line is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False)
    for heading in headings:
        grid.add_column(Text(line(heading)), no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(line(str(cell))) for cell in row))
    drawn = io.StringIO()
    width = shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else _PLAIN_WIDTH
    Console(file=drawn, width=width).print(grid)
    document("".join(f"{drawn_line.rstrip()}\n" for drawn_line in drawn.getvalue().splitlines()))


def hide(redact: Callable[[str], str]) -> None:
    """Have each text pass `redact` before it is printed, from now on."""
    _HIDDEN[:] = [redact]


def finish() -> bool:
    """Write out what is still held back; return whether all that was printed has arrived, or nobody wanted it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed before the program began
            continue
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            _give_up(stream, error)
    lost, _LOST[:] = list(_LOST), []
    if lost:
        message(f"nightdesk: the output could not be written whole ({lost[0]}): what was printed is incomplete")
    return not lost


_LOST: list[Exception] = []
"""Why output was lost that somebody wanted."""
_HIDDEN: list[Callable[[str], str]] = []
"""What takes the secrets out of a text, once the settings are known."""


def _write(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # closed before the program began
        return
    for redact in _HIDDEN:
        text = redact(text)
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode(stream.encoding, errors="replace").decode(stream.encoding))
        stream.flush()
    except (OSError, ValueError) as failure:
        _give_up(stream, failure)


def _give_up(stream: TextIO, failure: Exception) -> None:
    """Have what is printed from now on go nowhere, so that no flush at the end of the program fails again."""
    try:
        descriptor = stream.fileno()
        if not _nobody_reads(descriptor, failure):
            _LOST.append(failure)
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except (OSError, ValueError):  # closed already, or no file at all
        return
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _nobody_reads(descriptor: int, failure: Exception) -> bool:
    """Return whether a pipe was closed by who had read enough, or a terminal is gone: then nothing is lost."""
    code = failure.errno if isinstance(failure, OSError) else None
    return code == errno.EPIPE or (code == errno.EIO and stat.S_ISCHR(os.fstat(descriptor).st_mode))
