"""The retrain job: all of it but the exchange, as a process of its own; and what it gains by a second core."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import yaml

from bench.comparison import AtLeast, AtMost, Row
from bench.environments import CHECKOUT, OURS, told_by

ROUNDS = 3
SYMBOLS, BARS = 4, 250_000
HOURS = 730 * 24
MINUTES = 1_000_000
_POLL_SECONDS = 0.02
_MEGABYTE = 1e6


def job() -> Iterator[Row]:
    """The whole job with a champion beside the candidate, against the same on one core."""
    yield from _job("730 days by the hour, 12 folds", HOURS, "1h", {}, ROUNDS, seconds=20, megabytes=800)
    short = {"history_days": 700, "min_history_days": 200, "holdout_days": 180}
    yield from _job("1,000,000 bars of a minute, 12 folds", MINUTES, "1m", short, 1, seconds=240, megabytes=3000)


def fitting() -> Iterator[Row]:
    """A fit on several symbols by two cores against one, and its time against its rows."""
    told = [told_by(OURS, "fit", "workers", SYMBOLS, BARS) for _ in range(ROUNDS)]
    rounds = [(one["2"], one["1"]) for one in told]
    yield Row(f"fit on {SYMBOLS} symbols of {BARS:,} bars", "one core", "s", rounds, AtLeast(1.7))
    exponents = []
    for _ in range(ROUNDS):
        rows, seconds = np.array(told_by(OURS, "fit", "rows", MINUTES)).T
        exponents.append((float(np.polyfit(np.log(rows), np.log(seconds), 1)[0]), 1.0))
    yield Row("a fit's time against rows, exponent", "linear", "", exponents, AtMost(1.1))


def _job(
    name: str, bars: int, timeframe: str, retrain: Mapping[str, float], rounds: int, *, seconds: float, megabytes: float
) -> Iterator[Row]:
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "nightdesk.yml"
        document = {
            "home": ".",
            "trendbot": {"timeframe": timeframe, "model": {"folds": 12}},
            "retrain": {"pipeline": "bench_strategy:BenchStrategy", **retrain},
            "strategy": {"bars": bars, "days_ago": 150},
            "sandbox": {"enabled": False},
            "operations": {"alerts": {"enabled": False}},
            "stack": {"ports": {"pushgateway": 1}},
        }
        settings.write_text(yaml.safe_dump(document))
        _run(settings, "--set", "retrain.min_history_days=100", "retrain", "--bootstrap")
        document["strategy"] = {"bars": bars, "days_ago": 0}
        settings.write_text(yaml.safe_dump(document))
        for _ in range(rounds):
            figures.append((_run(settings, "retrain"), _run(settings, "--set", "retrain.workers=1", "retrain")))
    yield Row(name, "one core", "s", [(two[0], one[0]) for two, one in figures], AtMost(seconds))
    yield Row("its memory", "one core", "MB", [(two[1], one[1]) for two, one in figures], AtMost(megabytes))


def _run(settings: Path, *arguments: str) -> tuple[float, float]:
    """Run the command line and return its seconds and the most memory (MB) that it and its children held at once."""
    command = [str(OURS), "-m", "nightdesk", "--settings", str(settings), *arguments]
    paths = [str(CHECKOUT / "bench" / "peers"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    most, begun = 0.0, time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            most = max(most, _held(process.pid))
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - begun
        if process.returncode:
            raise SystemExit(process.stderr.read().decode() if process.stderr else "the job failed")
    return seconds, most


def _held(process: int) -> float:
    """Return the memory (MB) of a process and of all below it, what they share counted once; 0 where it is gone."""
    try:
        held = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0.0
    own = 0.0 if held is None else int(held[1]) * 1024 / _MEGABYTE
    return own + sum(_held(int(child)) for child in children)
