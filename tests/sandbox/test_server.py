"""The servers start, stop and fail as a supervisor needs it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nightdesk_sandbox.errors import BindError
from nightdesk_sandbox.recordings.candles import RecordedCandles
from nightdesk_sandbox.server import serve_exchange, serve_inbox
from nightdesk_sandbox.settings import SandboxSettings

from tests.sandbox.conftest import WAIT_SECONDS, write_csv

LOOPBACK = "127.0.0.1"

PROGRAM = """
import sys
from pathlib import Path
from nightdesk_sandbox.server import run_exchange, run_inbox
from nightdesk_sandbox.settings import SandboxSettings

home = Path(sys.argv[2])
if sys.argv[1] == "exchange":
    run_exchange(SandboxSettings(candles=home / "candles.csv"), home=home, host="127.0.0.1", port=0)
else:
    run_inbox(SandboxSettings(), home=home, host="127.0.0.1", port=0, smtp_port=0)
print("stopped cleanly")
"""


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_an_exchange_that_cannot_listen_names_the_port(
    taken_port: int, candles: RecordedCandles, tmp_path: Path
) -> None:
    settings = SandboxSettings(candles=write_csv(candles, tmp_path / "candles.csv"))
    with pytest.raises(BindError) as raised:
        async with serve_exchange(settings, home=tmp_path, host=LOOPBACK, port=taken_port):
            pass
    assert str(raised.value).startswith(f"the exchange cannot listen on port {taken_port} of 127.0.0.1 (")
    assert str(raised.value).endswith("stop what listens there, or name another port with stack.ports.exchange")
    assert raised.value.exit_code == 1


@pytest.mark.parametrize("service", ["inbox", "smtp"])
async def test_an_inbox_that_cannot_listen_names_the_port_and_leaves_nothing_running(
    service: str, taken_port: int, tmp_path: Path
) -> None:
    ports = {"port": taken_port, "smtp_port": 0} if service == "inbox" else {"port": 0, "smtp_port": taken_port}
    before = asyncio.all_tasks()
    with pytest.raises(BindError, match=f"the {service} cannot listen on port {taken_port} of 127.0.0.1"):
        async with serve_inbox(SandboxSettings(), home=tmp_path, host=LOOPBACK, **ports):
            pass
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("turns", range(5))
async def test_whoever_waits_to_be_let_in_when_it_ends_is_let_go_too(
    turns: int, candles: RecordedCandles, tmp_path: Path
) -> None:
    """A bot that had no answer for a while has asked again and again: none of that may outlive the exchange."""
    settings = SandboxSettings(candles=write_csv(candles, tmp_path / "candles.csv"))
    async with serve_exchange(settings, home=tmp_path, host=LOOPBACK, port=0) as served:
        port = int(served.url.rpartition(":")[2])
        # Nothing is let in meanwhile: this thread is the server's own.
        clients = [socket.create_connection((LOOPBACK, port), timeout=WAIT_SECONDS) for _ in range(30)]
        for _ in range(turns):
            await asyncio.sleep(0)
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@pytest.mark.parametrize("service", ["exchange", "inbox"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_runs_until_it_is_told_to_stop(
    service: str, number: signal.Signals, candles: RecordedCandles, tmp_path: Path
) -> None:
    write_csv(candles, tmp_path / "candles.csv")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, service, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(WAIT_SECONDS):
            while (
                f"the {service} listens on http://127.0.0.1:" not in (said := await process.stderr.readline()).decode()
            ):
                assert said, "it ended before it listened"
        process.send_signal(number)
        output, errors = await asyncio.wait_for(process.communicate(), WAIT_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, output) == (0, b"stopped cleanly\n")
    assert b"Traceback" not in errors
