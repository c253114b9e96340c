"""A bot that forks: its children keep neither its port nor its connections, and say that what they tell is lost."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.campaigns import cases
from tests.forking import lines_of

HEAD = """
from nightdesk_exporter import BotExporter, Alerting
def made(port=0):
    return BotExporter("btc", symbols=[("BTC/USDT", "1h")], port=port, status_file=FOLDER / "status.json",
                       alerting=Alerting(alertmanagers=("http://127.0.0.1:9",)), alert_spool=FOLDER / "spool.json")
"""
TOLD = "this process was forked from the one that exports, so what it reports reaches nobody"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_child_has_no_copy_of_the_port_of_a_connection_or_of_the_selector(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
import http.client
before = len(sockets())
with made() as exporter:
    kept = http.client.HTTPConnection(exporter.url.removeprefix("http://"))
    kept.request("GET", "/readyz"); kept.getresponse().read()
    half = __import__("socket").create_connection(("127.0.0.1", int(exporter.url.rpartition(":")[2])))
    half.sendall(b"GET /met")
    time.sleep(0.2)
    ours = len(sockets())
    with child() as is_child:
        if is_child:
            kept.close(); half.close()
            say("has", len(sockets()) - before)
    kept.request("GET", "/readyz")
    again = kept.getresponse().status in (200, 503)
    say("had more than", ours - before > 3, "is still answered", again, get(exporter) > 0)
""",
        tmp_path,
    )
    assert said == ["child has 0", "parent ended 0", "parent had more than True is still answered True True"]


def test_a_child_that_outlives_the_bot_keeps_its_port_from_nobody(tmp_path: Path) -> None:
    port = free_port()
    said = lines_of(
        HEAD
        + f"""
reading, writing = os.pipe()
with made({port}) as exporter:
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        signal.alarm(20)
        os.read(reading, 1)  # until the parent says so, or is gone
        os._exit(0)
with made({port}) as again:
    say("answers", get(again))
os.write(writing, b"x")
os.waitpid(pid, 0)
""",
        tmp_path,
    )
    assert said == ["parent answers 200"] or said == ["parent answers 503"]


def test_the_first_call_in_a_child_says_that_it_reaches_nobody_and_none_waits_for_a_lock(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
with made() as exporter:
    exporter._checkup._lock.acquire(); exporter._health_checks._woken._cond.acquire()  # as a thread may at the fork
    with child() as is_child:
        if is_child:
            for _ in range(3):
                exporter.heartbeat(); exporter.guard("paused"); exporter.equity(1.0); exporter.contact("ws")
                exporter.send_alert("Mine", severity="warning", summary="s."); exporter.changed()
                with exporter.request():
                    pass
            say(exporter.status()["bot"]["heartbeat_at"], exporter.snapshot.guard)
            exporter.__exit__(None, None, None)
    exporter._checkup._lock.release(); exporter._health_checks._woken._cond.release()
    exporter.heartbeat()
    say("tells", exporter.status()["bot"]["heartbeat_at"] is not None, get(exporter) > 0)
""",
        tmp_path,
    )
    assert len(said) == 4
    assert said[0].startswith(f"child: WARNING exporter: {TOLD}")
    assert "Start the exporter after the fork (a daemon: once it is one)" in said[0]
    assert said[1:] == ["child None None", "parent ended 0", "parent tells True True"]


def test_a_daemon_that_forks_twice_after_it_has_started_the_exporter_can_start_another_on_the_port(
    tmp_path: Path,
) -> None:
    port = free_port()
    lines_of(
        HEAD
        + f"""
exporter = made({port}).__enter__()
if os.fork():
    time.sleep(0.3)
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
signal.alarm(20)
time.sleep(0.6)
exporter.heartbeat()
with made({port}) as own:
    own.heartbeat()
    (FOLDER / "answer").write_text(f"{{get(own, '/metrics')}} {{own.status()['bot']['heartbeat_at'] is not None}}")
os._exit(0)
""",
        tmp_path,
    )
    from tests.exporter.conftest import until

    until(lambda: (tmp_path / "answer").exists() and bool((tmp_path / "answer").read_text()), "the daemon's answer")
    assert (tmp_path / "answer").read_text() == "200 True"


def test_workers_that_are_forked_before_the_exporter_starts_have_each_their_own(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
exporter = made()
with child() as is_child:
    if is_child:
        with exporter:
            exporter.heartbeat()
            say("serves", get(exporter, "/metrics"))
with exporter:
    say("serves", get(exporter, "/metrics"))
""",
        tmp_path,
    )
    assert said == ["child serves 200", "parent ended 0", "parent serves 200"]


@pytest.mark.parametrize(
    "way",
    [
        """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    counts = list(pool.map(count, range(2)))
""",
        """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    counts = pool.map(count, range(2))
""",
        """
import subprocess
listed = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout
counts = [listed.count("socket:")]
""",
        """
import subprocess
listed = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, preexec_fn=int).stdout
counts = [listed.count("socket:")]
""",
        """
listed = os.popen("ls -l /proc/self/fd").read()
counts = [listed.count("socket:")]
""",
    ],
)
def test_however_a_child_is_made_it_has_no_listening_socket_and_the_bot_is_answered(tmp_path: Path, way: str) -> None:
    indented = "\n".join(f"    {line}" for line in way.splitlines())
    said = lines_of(
        HEAD
        + f"""
def count(_):
    port = f":{{int(URL.rpartition(':')[2]):04X}} "
    inodes = {{line.split()[9] for line in open("/proc/net/tcp") if port in line}}
    return sum(link.removeprefix("socket:[").removesuffix("]") in inodes for link in sockets())
with made() as exporter:
    URL = exporter.url
{indented}
    say(sum(counts), count(0), get(exporter, "/metrics"))
""",
        tmp_path,
    )
    assert said == ["parent 0 1 200"]


@pytest.mark.kills
def test_a_bot_that_forks_again_and_again_under_scrapes_is_answered_and_no_child_hangs(tmp_path: Path) -> None:
    forks = cases(sample=25, campaign=1_000)
    said = lines_of(
        HEAD
        + f"""
import threading
logger.remove()
with made() as exporter:
    ended, failed, asked = threading.Event(), [], []
    def scrape():
        while not ended.is_set():
            try:
                asked.append(get(exporter, "/metrics"))
            except OSError as error:
                failed.append(error)
    def turn():
        while not ended.is_set():
            exporter.heartbeat(); exporter.guard("paused" if len(asked) % 2 else "normal"); time.sleep(0.0005)
    threads = [threading.Thread(target=each) for each in (scrape, scrape, turn)]
    for each in threads:
        each.start()
    codes = []
    for _ in range({forks}):
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            exporter.heartbeat(); exporter.guard("paused"); exporter.changed(); exporter.status()
            os._exit(0 if not [link for link in sockets() if "eventpoll" in link] else 2)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    ended.set()
    for each in threads:
        each.join()
    say(set(codes), set(asked), failed)
""",
        tmp_path,
        seconds=30 + forks,
    )
    assert said == ["parent {0} {200} []"]
