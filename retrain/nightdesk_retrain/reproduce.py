"""The bundle as a live bot will find it: loaded in a fresh process, it must do what was judged, to the last digit.

What a strategy keeps in memory, in a closure or in an attribute, is not there: only what the bundle holds is.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nightdesk_core.models.bundle import verify
from nightdesk_core.models.pipeline import Backtest, TrainingError, Window

from nightdesk_retrain.strategy import load_pipeline

Stretch = tuple[float, float]
"""From, and up to, a market time in Unix seconds."""


class ReproductionError(TrainingError):
    """The bundle does not do what was judged: it must not be used."""


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return `function(*arguments)` from a new Python process; function, arguments and result travel by pickle.

    Raises `ReproductionError` where they cannot, where the function fails, and where the process dies.
    """
    fresh = multiprocessing.get_context("spawn")
    try:
        work = pickle.dumps((function, arguments))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ReproductionError(f"what `collect` returned cannot be sent to a fresh process: {error}") from error
    ours, theirs = fresh.Pipe()
    # No daemon: those may not start processes of their own, and a strategy's backtest may.
    process = fresh.Process(target=_work, args=(theirs,))
    with ours:
        process.start()
        theirs.close()
        try:
            ours.send_bytes(work)
            failed, answer = ours.recv()
        except (EOFError, OSError) as error:
            process.join()
            raise ReproductionError(
                f"the process that loads the bundle anew died, exit code {process.exitcode}: did memory run out?"
            ) from error
        except BaseException:
            process.terminate()
            raise
        process.join()
    if failed:
        raise ReproductionError(f"in a fresh process the bundle fails: {answer}")
    return answer


def _work(connection: Connection) -> None:
    """Do what the other end asks for, once. An error goes back as text: not every exception survives the way."""
    try:
        function, arguments = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the process that started this one
        answer = pickle.dumps((False, function(*arguments)))
    except Exception as error:  # noqa: BLE001 - a strategy may raise anything
        answer = pickle.dumps((True, f"{type(error).__name__}: {error}"))
    connection.send_bytes(answer)


def backtests(
    dotted: str, document: Mapping[str, Any], folder: Path, window: Window, stretches: Sequence[Stretch]
) -> list[Backtest]:
    """Return what the verified bundle in `folder` does on each stretch, by a pipeline of its own.

    Raises `BundleError`, `SettingsError`, and what the pipeline raises.
    """
    verify(folder)
    pipeline = load_pipeline(dotted, document)
    model = pipeline.load(folder)
    return [pipeline.backtest(model, window, start=start, end=end) for start, end in stretches]


def compare(judged: Sequence[Backtest], again: Sequence[Backtest]) -> None:
    """Raise `ReproductionError` naming the first difference between what was judged and what came out again."""
    for before, now in zip(judged, again, strict=True):
        if now == before:
            continue
        for name, ours, theirs in (
            ("day", before.days, now.days),
            ("daily return", before.daily_returns, now.daily_returns),
            ("trade", before.trades, now.trades),
        ):
            for number, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
                if one != other:
                    raise ReproductionError(f"{_SAID}: {name} {number} is {other}, judged was {one}")
            if len(ours) != len(theirs):
                raise ReproductionError(f"{_SAID}: {len(theirs)} times a {name}, judged were {len(ours)}")
        raise ReproductionError(
            f"{_SAID}: it covers {now.start:.0f} to {now.end:.0f}, judged was {before.start:.0f} to {before.end:.0f}"
        )


_SAID = "in a fresh process the bundle does something else than what was judged"
