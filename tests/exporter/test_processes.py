"""The exporter in processes as they are stopped, forked, spawned and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from nightdesk_exporter import BotExporter, StatusFile
from nightdesk_exporter.errors import ExporterError

from tests.alerts.conftest import ServedInbox, free_port

BOT = """
import asyncio, signal, sys, time
from pathlib import Path
from nightdesk_exporter import Alerting, BotExporter

folder, url, how, loop = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
if loop == "handles itself":
    signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
alerting = Alerting(discord_webhook_url=url + "/api/webhooks/1/" + "a" * 68) if url else None
def exporter():
    status = folder / "status.json"
    return BotExporter("mine", symbols=[], port=0, status_file=status, alerting=alerting, on_sigterm=how)

async def main():
    async with exporter() as running:
        running.heartbeat()
        print("runs", flush=True)
        await asyncio.sleep(30)

if loop == "asyncio":
    asyncio.run(main())
else:
    with exporter() as running:
        running.heartbeat()
        print("runs", flush=True)
        time.sleep(3 if loop == "handles itself" else 30)
"""


def terminated(folder: Path, how: str, loop: str, *, url: str = "") -> tuple[int, dict[str, object]]:
    """Run a bot, send it SIGTERM, and return its exit code and what the status file says of it."""
    command = [sys.executable, "-c", BOT, str(folder), url, how, loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == "runs\n"
        until_written(folder / "status.json")
        bot.send_signal(signal.SIGTERM)
        code = bot.wait(30)
    return code, StatusFile(folder / "status.json").read()["bot"]


def until_written(path: Path) -> None:
    end = time.monotonic() + 15
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert path.exists()


@pytest.mark.parametrize("loop", ["plain", "asyncio"])
def test_sigterm_ends_the_block_and_leaves_a_last_status(tmp_path: Path, loop: str) -> None:
    code, bot = terminated(tmp_path, "end", loop)
    assert code == 143
    assert (bot["running"], bot["stopped_by"]) == (False, None)


def test_people_are_told_of_sigterm_where_that_was_wished(tmp_path: Path, inbox: ServedInbox) -> None:
    code, bot = terminated(tmp_path, "tell", "plain", url=inbox.url)
    assert (code, bot["running"], bot["stopped_by"]) == (143, False, "SIGTERM")
    [message] = inbox.arrived("discord")
    assert "It ended by SIGTERM." in message.text


def test_a_handler_of_the_bots_own_stays_in_force(tmp_path: Path) -> None:
    code, bot = terminated(tmp_path, "end", "handles itself")
    assert (code, bot["running"]) == (0, False)


def test_sigterm_is_left_alone_where_that_was_wished(tmp_path: Path) -> None:
    code, _ = terminated(tmp_path, "leave", "plain")
    assert code == -signal.SIGTERM


def test_the_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with BotExporter("mine", symbols=[], port=None):
        assert (signal.getsignal(signal.SIGTERM) == before) == (before is not signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) == before


# A notebook's cell that is run again.


@pytest.mark.parametrize("served", [True, False])
def test_a_second_exporter_of_a_bot_takes_the_place_of_the_first(
    tmp_path: Path, messages: list[str], served: bool
) -> None:
    port = free_port() if served else None
    first = BotExporter("mine", symbols=[], port=port, status_file=tmp_path / "status.json").__enter__()
    first.equity(1.0)
    with BotExporter("mine", symbols=[], port=port, status_file=tmp_path / "status.json") as second:
        second.equity(2.0)
        assert sum("another exporter of mine begins in this process" in line for line in messages) == 1
        if served:
            assert 'tradebot_equity{currency="USDT"} 2.0' in requests.get(f"{second.url}/metrics", timeout=5).text
        first.equity(3.0)
        first.__exit__(None, None, None)
        assert second.status()["risk"]["equity"] == 2.0
        assert second.status()["bot"]["running"] is True


def test_another_bot_does_not_take_a_port_from_the_first() -> None:
    port = free_port()
    with (
        BotExporter("one", symbols=[], port=port) as one,
        pytest.raises(ExporterError, match="Address already in use"),
        BotExporter("other", symbols=[], port=port),
    ):
        pytest.fail("two listen on one port")
    assert one._ended


def test_a_start_that_fails_can_be_tried_again() -> None:
    port = free_port()
    exporter = BotExporter("other", symbols=[], port=port)
    with BotExporter("one", symbols=[], port=port), pytest.raises(ExporterError):
        exporter.__enter__()
    with exporter:
        assert requests.get(f"{exporter.url}/livez", timeout=5).ok


# Preloaded, as gunicorn does: made before the fork, asked for in the workers.

PRELOADED = """
import os, sys
from nightdesk_exporter import BotExporter

def ask(app):
    said = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/livez", "HTTP_HOST": "localhost"}
    body = b"".join(app(environ, lambda status, headers: said.append(status)))
    return said[0], body

exporter = BotExporter("mine", symbols=[], port=None)
app = exporter.wsgi_app()
if sys.argv[1] == "before":
    exporter.__enter__()
    assert ask(app)[0].startswith("200")
worker = os.fork()
if worker == 0:
    if sys.argv[1] == "after":
        exporter.__enter__()
    status, body = ask(app)
    print(status, body.decode(), flush=True)
    os._exit(0)
os.waitpid(worker, 0)
exporter.__exit__(None, None, None)
"""


@pytest.mark.parametrize(("started", "said"), [("before", "503"), ("after", "200")])
def test_a_worker_of_a_preloaded_server_answers_or_says_what_to_do(started: str, said: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PRELOADED, started]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.startswith(said)
    assert ("start the exporter in the worker, after the fork" in ended.stdout) == (said == "503")


SPAWNED = """
import multiprocessing, sys
from nightdesk_exporter import BotExporter

def work(port):
    with BotExporter("child", symbols=[], port=0) as exporter:
        exporter.heartbeat()
        assert exporter.status()["bot"]["heartbeat_at"]

if __name__ == "__main__":
    with BotExporter("parent", symbols=[], port=0) as exporter:
        child = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(0,))
        child.start(); child.join(60)
        assert child.exitcode == 0, child.exitcode
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_spawned_process_has_an_exporter_of_its_own(tmp_path: Path, method: str) -> None:
    (tmp_path / "spawning.py").write_text(SPAWNED)
    subprocess.run([sys.executable, str(tmp_path / "spawning.py"), method], timeout=120, check=True, env=os.environ)
