"""A bundle that does not do in a fresh process what was judged is never listed."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.models.pipeline import Backtest, Fitted
from nightdesk_retrain import job
from nightdesk_retrain.parts import JobParts
from nightdesk_retrain.reproduce import ReproductionError, compare, in_fresh_process

from tests.retrain.conftest import FakeModel, FakePipeline, champion_of, events, files_of, following, trade


class Forgetful(FakePipeline):
    """Known failure 8: saves another model than the one in its memory, which is the one it judges by."""

    def fit(self, *args: Any, **kwargs: Any) -> Fitted:
        fitted = super().fit(*args, **kwargs)
        self.fitted = FakeModel(self.daily_edge, self.trades)
        return replace(fitted, files={"model.json": json.dumps({"daily_edge": -0.001, "trades": 60}).encode()})

    def load(self, folder: Path) -> FakeModel:
        return getattr(self, "fitted", None) or super().load(folder)


def nested() -> FakePipeline:
    """Known failure 12: a window of a class that only this function knows."""

    class Window:
        info = FakePipeline().collect(days=730, progress=lambda *_: None).info

    class Nested(FakePipeline):
        def collect(self, **_: Any) -> Any:
            return Window()

    return Nested()


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_known_failure_8_what_a_fresh_process_makes_of_the_bundle_is_what_counts(
    parts: JobParts, pipeline: FakePipeline, first: str
) -> None:
    before = files_of(parts)
    with pytest.raises(ReproductionError) as raised:
        job.run(replace(parts, pipeline=Forgetful(), elsewhere=in_fresh_process), trigger="manual")
    assert str(raised.value).startswith(
        "in a fresh process the bundle does something else than what was judged: daily return 1 is "
    )
    assert raised.value.exit_code == 4
    assert champion_of(parts) == first
    assert events(parts)[-1] == "failed"
    job.run(replace(parts, elsewhere=in_fresh_process), trigger="manual")
    assert before.items() <= files_of(parts).items()
    assert len(parts.registry.versions()) == 2


def test_known_failure_12_what_only_a_function_knows_cannot_be_sent_to_a_fresh_process(parts: JobParts) -> None:
    with pytest.raises(ReproductionError, match="cannot be sent to a fresh process: Can't pickle local object"):
        job.run(replace(parts, pipeline=nested(), elsewhere=in_fresh_process), trigger="manual", bootstrap=True)
    assert parts.registry.versions() == []


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (die, (), "the process that loads the bundle anew died, exit code -9: did memory run out?"),
        (json.loads, ("{",), "in a fresh process the bundle fails: JSONDecodeError: Expecting property name"),
    ],
)
def test_a_process_that_fails_or_dies_says_how(function: Callable[..., Any], arguments: Any, said: str) -> None:
    with pytest.raises(ReproductionError) as raised:
        in_fresh_process(function, *arguments)
    assert str(raised.value).startswith(said)


def by_helpers(numbers: list[int]) -> list[int]:
    with ProcessPoolExecutor(1) as helpers:
        return list(helpers.map(abs, numbers))


def unreadable() -> object:
    return lambda: None


def test_a_strategy_may_have_processes_of_its_own() -> None:
    assert in_fresh_process(by_helpers, [-1, 2]) == [1, 2]


def test_a_result_that_cannot_come_back_is_named() -> None:
    with pytest.raises(ReproductionError, match=r"in a fresh process the bundle fails: .*pickle"):
        in_fresh_process(unreadable)


DONE = Backtest(0.0, 172_800.0, (86_400, 172_800), (0.1, 0.2), (trade(1, won=True),))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (replace(DONE, days=(86_400, 172_801)), "day 2 is 172801, judged was 172800"),
        (
            replace(DONE, daily_returns=(0.1, math.nextafter(0.2, 1))),
            "daily return 2 is 0.20000000000000004, judged was 0.2",
        ),
        (replace(DONE, trades=(trade(1, won=False),)), "trade 1 is "),
        (replace(DONE, trades=()), "0 times a trade, judged were 1"),
        (replace(DONE, end=2.0), "it covers 0 to 2, judged was 0 to 172800"),
    ],
)
def test_the_first_difference_is_named_down_to_the_last_digit(now: Backtest, said: str) -> None:
    with pytest.raises(ReproductionError, match=said):
        compare([DONE, DONE], [DONE, now])
    compare([DONE], [replace(DONE)])


def test_candidate_and_common_days_are_reproduced(parts: JobParts, pipeline: FakePipeline, first: str) -> None:
    asked: list[Any] = []
    same = following(parts, pipeline)

    def elsewhere(*arguments: Any) -> Any:
        asked.append(arguments[-1])
        return same.elsewhere(*arguments)

    outcome = job.run(replace(parts, elsewhere=elsewhere), trigger="manual")
    assert outcome.comparison is not None
    assert [round((end - start) / 86_400) for start, end in asked[0]] == [180, 182]
