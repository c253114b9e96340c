"""What importing modules takes in a fresh process: `imports.py module …`. Runs in every environment."""

import sys
import time

before = set(sys.modules)
begun = time.perf_counter()
for name in sys.argv[1:]:
    __import__(name)
seconds = time.perf_counter() - begun

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
        "megabytes": int(status["VmHWM"].split()[0]) / 1024,
        "loaded": sorted(loaded),
    },
    sys.stdout,
)
