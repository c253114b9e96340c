"""What running a few lines takes in a fresh process, imports above all: `imports.py code`. For every environment."""

import sys
import time

before = set(sys.modules)
begun, begun_cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - begun_cpu

import json  # noqa: E402 - after the measurement
from pathlib import Path  # noqa: E402

# Not `getrusage`: its maximum begins with what the process that started this one had.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
loaded = {
    name.partition(".")[0]
    for name, module in sys.modules.items()
    if name not in before and "site-packages" in (getattr(module, "__file__", None) or "")
}
json.dump(
    {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "megabytes": int(status["VmHWM"].split()[0]) / 1024,
        "loaded": sorted(loaded),
    },
    sys.stdout,
)
