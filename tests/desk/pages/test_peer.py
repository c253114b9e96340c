"""Whose connection it is, as the kernel says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

from nightdesk.pages.peer import peer_uid

from tests.other_user import OTHER, of_other_user

CONNECT = "import socket,sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read()"


def test_a_connection_of_our_own_is_ours() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert peer_uid(client.getsockname(), client.getpeername()) == os.geteuid()


def test_a_connection_of_another_user_is_theirs() -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    assert python is not None
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = of_other_user(python, "-c", CONNECT, str(server.getsockname()[1]))
        with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
            server.settimeout(20)
            accepted, address = server.accept()
            with accepted:
                assert peer_uid(address, accepted.getsockname()) == OTHER
            assert other.stdin is not None
            other.stdin.close()


def test_where_nothing_is_kept_nothing_is_known(tmp_path: Path) -> None:
    assert peer_uid(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
    assert peer_uid(("127.0.0.1", 1), ("127.0.0.1", 2), table=tmp_path / "none") is None
