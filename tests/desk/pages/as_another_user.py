"""Run by another user of the machine, with nothing but Python's own library: tries everything, and prints what came."""

import contextlib
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

wanted = json.loads(sys.argv[1])
read, answers, bodies, signalled, commands = {}, {}, {}, [], ""
for name in wanted["files"]:
    with contextlib.suppress(OSError):
        read[name] = Path(name).read_text(errors="replace")
for pid in wanted["pids"]:
    commands += Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(PermissionError):
            os.kill(pid, number)
            signalled.append(pid)
for method, url in wanted["ways"]:
    request = urllib.request.Request(url, method=method, headers=wanted.get("headers", {}))
    if method in ("POST", "PUT"):
        request.data = wanted["body"].encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answers[f"{method} {url}"], bodies[url] = answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        answers[f"{method} {url}"], bodies[url] = error.code, error.read().decode(errors="replace")
print(
    json.dumps(
        {
            "user": os.geteuid(),
            "read": read,
            "answers": answers,
            "bodies": bodies,
            "signalled": signalled,
            "commands": commands,
        }
    )
)
