"""The process in which a bundle stands its trial: `python -m nightdesk_retrain.trial_process`, asked on standard input.

It ends with 0 where the bundle was loaded, with 1 and the reason on standard output where it was not, and with
`UNTRIED` where there is no strategy to load it. That it ends in any other way is an answer, too.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from nightdesk_core.files.json_text import parse_json
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.settings import SettingsError

from nightdesk_retrain.trial import UNTRIED

_LARGEST_FILE_BYTES = 100_000_000
"""For what numba keeps of compiled functions; nothing else is written."""


def main() -> int:
    """Load the bundle that standard input names. Return the exit code."""
    work: dict[str, Any] = parse_json(sys.stdin.buffer.read(), source="standard input")
    answer = os.dup(1)
    # What a library prints is no answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit(memory_bytes=work["memory_bytes"], seconds=work["seconds"])
    sys.path[:] = work["path"]
    code, reason = _tried(work["pipeline"], work["document"], Path(work["folder"]))
    os.write(answer, reason.encode(errors="replace"))
    return code


def _limit(*, memory_bytes: int, seconds: float) -> None:
    """End this process where it takes too much, also where whoever started it is gone."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE_BYTES, _LARGEST_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _tried(pipeline: str, document: dict[str, Any], folder: Path) -> tuple[int, str]:
    from nightdesk_retrain.strategy import load_pipeline

    try:
        load_pipeline(pipeline, document).load(folder)
    except BundleError as error:
        return 1, error.reason
    except SettingsError as error:
        return UNTRIED, f"cannot be tried: {error}"
    except MemoryError:
        return 1, "loading it takes more memory than a model may"
    except Exception as error:  # noqa: BLE001 - a strategy may raise anything; whoever asked is told of it
        return 1, f"cannot be loaded: {type(error).__name__}: {error}"
    return 0, ""


if __name__ == "__main__":
    # Without Python's own end: libraries that were loaded with a broken model have nothing to clear up.
    sys.stdout.flush()
    os._exit(main())
