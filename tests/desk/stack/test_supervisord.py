"""The logs of the services, as supervisord writes them."""

from __future__ import annotations

import builtins
import errno
import io
import os
from pathlib import Path

import pytest
from nightdesk.stack.supervisord import RotatingLog

REFUSED = {"open": [(builtins, "open"), (io, "open")], "rename": [(os, "rename"), (os, "replace")]}


@pytest.mark.parametrize("refused", REFUSED)
def test_a_log_whose_next_file_cannot_be_made_goes_on_and_is_rolled_over_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """supervisord would give up the service's pipe, which then blocks the service when it is full."""
    log = tmp_path / "bot.log"
    handler = RotatingLog(str(log), maxBytes=100, backupCount=2)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        for module, name in REFUSED[refused]:
            disk.setattr(module, name, full)
        for _ in range(3):
            handler.stream.write(b"x" * 120 + b"\n")
            handler.stream.flush()
            handler.doRollover()
    assert log.read_bytes() == (b"x" * 120 + b"\n") * 3, "nothing is lost"
    for line in (b"y", b"z", b"w"):
        handler.stream.write(line * 120)
        handler.stream.flush()
        handler.doRollover()
    assert log.read_bytes() == b""
    assert (tmp_path / "bot.log.1").read_bytes() == b"w" * 120
    assert (tmp_path / "bot.log.2").read_bytes() == b"z" * 120
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bot.log", "bot.log.1", "bot.log.2"]
    handler.close()
