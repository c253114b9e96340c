"""What a server of somebody else's logs holds no secret, and nothing else about the server is different."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from nightdesk.stack.log_filter import filtered

SECRET = "s3cr3t/of the%ma chine"
WEBHOOK = "https://discord.example/api/webhooks/1/t0ken-of-the-webhook"


def started(code: str, folder: Path) -> subprocess.Popen[str]:
    """Start a server of a few lines behind the filter."""
    command = filtered([sys.executable, "-u", "-c", code], secrets=[folder])
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")


def secrets_in(tmp_path: Path) -> Path:
    """Return a folder with two secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir(parents=True)
    (folder / "mail").write_text(f"{SECRET}\n")
    (folder / "discord").write_text(WEBHOOK)
    return folder


def test_no_form_of_a_secret_passes_and_all_else_does(tmp_path: Path) -> None:
    login = base64.b64encode(f"desk:{SECRET}".encode()).decode()
    said = [f"a {SECRET} b", f"a {quote(SECRET)} b", f"Basic {login}", f"POST {WEBHOOK}/x", 'level=INFO msg="ü"']
    code = f"import sys\nfor line in {said!r}: print(line, file=sys.stderr)\nsys.stdout.buffer.write(b'\\xff last')"
    out, error = started(code, secrets_in(tmp_path)).communicate(timeout=20)
    lines = out.splitlines()
    assert error == ""
    assert lines[:2] == ["a *** b", "a *** b"]
    assert [form for form in (SECRET, "t0ken", login) if form in out] == []
    assert lines[2].startswith("Basic ")
    assert "***" in lines[2]
    assert lines[3:] == ["POST ***/x", 'level=INFO msg="ü"', lines[-1]]
    assert lines[-1].endswith(" last")


def test_a_secret_that_comes_later_is_hidden_from_then_on_and_the_one_before_still_is(tmp_path: Path) -> None:
    folder = secrets_in(tmp_path)
    code = f"for _ in range(2): print(input() and 'one {SECRET} two an0ther-secret')"
    command = filtered([sys.executable, "-u", "-c", code], secrets=[folder])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("go\n")
        server.stdin.flush()
        assert server.stdout.readline() == "one *** two an0ther-secret\n"
        (folder / "mail").write_text("an0ther-secret")
        os.utime(folder / "mail", (1, 1))
        server.stdin.write("go\n")
        server.stdin.flush()
        assert server.stdout.readline() == "one *** two ***\n"


def test_the_server_keeps_its_process_id_its_signals_and_its_exit_code(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(7)))\n"
        "print(os.getpid())\n"
        "while True: time.sleep(0.05)\n"
    )
    with started(code, secrets_in(tmp_path)) as server:
        assert server.stdout is not None
        assert int(server.stdout.readline()) == server.pid
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 7
        assert server.stdout.read() == "bye\n"


def test_the_filter_ends_with_a_server_that_is_killed_and_a_server_without_its_filter_ends(tmp_path: Path) -> None:
    code = "import time\nwhile True: print('tick'); time.sleep(0.05)\n"
    with started(code, secrets_in(tmp_path)) as server:
        assert server.stdout is not None
        server.stdout.readline()
        server.kill()
        server.stdout.read()  # ends once the filter has
    with started(code, secrets_in(tmp_path / "other")) as server:
        assert server.stdout is not None
        server.stdout.readline()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        assert server.wait(timeout=10) != 0


def test_the_command_line_names_files_and_no_secret(tmp_path: Path) -> None:
    with started("import time; print('up'); time.sleep(30)", secrets_in(tmp_path)) as server:
        assert server.stdout is not None
        server.stdout.readline()
        deadline = time.monotonic() + 5
        while not (found := Path(f"/proc/{server.pid}/cmdline").read_bytes()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert b"log_filter" not in found  # it has become the server
        assert SECRET.encode() not in found
        server.kill()
