"""Scripts that fork, each in a process of its own: a test's own process has too many threads for that."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SECONDS = 30
HEAD = '''
import contextlib, os, signal, sys, time, urllib.request
from pathlib import Path
from loguru import logger
logger.remove()
logger.add(lambda message: print(f"{os.getpid() == PARENT and 'parent' or 'child'}: {message}", end="", flush=True),
           format="{level} {message}", level="WARNING")
PARENT = os.getpid()
FOLDER = Path(sys.argv[1])

def say(*words):
    print("parent" if os.getpid() == PARENT else "child", *words, flush=True)

def get(exporter, path="/healthz"):
    try:
        return urllib.request.urlopen(exporter.url + path, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code

def sockets():
    """What this process has open that is a socket or an epoll."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            link = os.readlink(entry)
            if link.startswith(("socket:", "anon_inode:[eventpoll]")):
                found.append(link)
    return found

@contextlib.contextmanager
def child():
    """Yield whether this is a forked child; it ends with the block, and its parent waits for it."""
    pid = os.fork()
    if pid:
        yield False
        _, status = os.waitpid(pid, 0)
        say("ended", os.waitstatus_to_exitcode(status))
        return
    signal.alarm(10)
    code = 1
    try:
        yield True
        code = 0
    except BaseException as error:
        say("raised", type(error).__name__, error)
    finally:
        sys.stdout.flush()
        os._exit(code)
'''


def lines_of(script: str, folder: Path, *, seconds: float = SECONDS) -> list[str]:
    """Run a script that forks, and return what it prints. It fails where the script does."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(script), folder],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
