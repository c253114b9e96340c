"""The same model from one core, from two, and from a cluster that loses a worker midway."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from distributed import LocalCluster
from nightdesk_core.models.pipeline import TrainingError
from nightdesk_retrain import workers as module
from nightdesk_retrain.workers import ClusterError, workers
from nightdesk_trendbot.model.labels import Events, label_events
from nightdesk_trendbot.model.training import train
from nightdesk_trendbot.settings import ModelSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Candles

from tests.sandbox.conftest import make_candles

FOLDS = 8


@pytest.fixture(scope="module")
def settings() -> TrendbotSettings:
    return TrendbotSettings(model=ModelSettings(folds=FOLDS))


@pytest.fixture(scope="module")
def events(settings: TrendbotSettings) -> Events:
    made = make_candles(8_000)
    columns = (made.time, made.open, made.high, made.low, made.close, made.volume)
    return label_events(Candles(*columns, interval_seconds=3600), settings)


@pytest.fixture(scope="module")
def alone(events: Events, settings: TrendbotSettings) -> dict[str, bytes]:
    """What one thread after another makes of the events."""
    with workers(count=1):
        return trained(events, settings)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A scheduler and two workers, each a process of its own."""
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as running:
        yield running


def trained(events: Events, settings: TrendbotSettings) -> dict[str, bytes]:
    return train(events, settings, progress=lambda *_: None).files()


@pytest.mark.parametrize("count", [0, 2])
def test_threads_make_the_same_model_to_the_last_byte(
    count: int, events: Events, settings: TrendbotSettings, alone: dict[str, bytes]
) -> None:
    with workers(count=count):
        assert trained(events, settings) == alone


def test_a_cluster_makes_the_same_model_though_a_worker_is_killed_midway(
    cluster: LocalCluster, events: Events, settings: TrendbotSettings, alone: dict[str, bytes], tmp_path: Path
) -> None:
    with workers(cluster=cluster.scheduler_address):
        assert trained(events, settings) == alone
        results = joblib.Parallel()(joblib.delayed(slowly)(number, tmp_path, os.getpid()) for number in range(4))
    assert [number for number, _ in results] == [0, 1, 2, 3]
    # The one that killed its worker was done again, by another.
    assert (tmp_path / "killed").read_text() not in {str(process) for _, process in results}


def slowly(number: int, folder: Path, asked_by: int) -> tuple[int, int]:
    """Kill this worker, once."""
    assert os.getpid() != asked_by, "the work is not done on the cluster"
    mark = folder / "killed"
    if number == 2 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return number, os.getpid()


def test_training_goes_on_where_a_worker_is_killed_in_the_middle_of_it(
    cluster: LocalCluster, events: Events, settings: TrendbotSettings, alone: dict[str, bytes]
) -> None:
    seen: list[float] = []

    def kill_one(_stage: str, share: float) -> None:
        if 0 < share < 1 and not seen:
            # One that was lost before may be on its way back.
            alive = next(worker.pid for worker in cluster.workers.values() if worker.pid)
            os.kill(alive, signal.SIGKILL)
            seen.append(share)

    with workers(cluster=cluster.scheduler_address):
        assert train(events, settings, progress=kill_one).files() == alone
    assert seen


def test_a_caller_who_cannot_be_told_of_progress_fails_and_does_not_hang(
    events: Events, settings: TrendbotSettings
) -> None:
    def broken(_stage: str, share: float) -> None:
        if share > 0:
            raise BrokenPipeError("the terminal is gone")

    with workers(count=2), pytest.raises(BrokenPipeError, match="the terminal is gone"):
        train(events, settings, progress=broken)


def test_what_fails_on_a_worker_fails_as_it_would_here(
    cluster: LocalCluster, events: Events, settings: TrendbotSettings
) -> None:
    alike = replace(events, won=np.zeros_like(events.won))
    with workers(cluster=cluster.scheduler_address), pytest.raises(TrainingError, match="there is nothing to learn"):
        trained(alike, settings)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(ClusterError, match=r"the Dask scheduler at tcp://127\.0\.0\.1:1 does not answer"),
        workers(cluster="tcp://127.0.0.1:1"),
    ):
        pass


def test_a_scheduler_without_workers_says_what_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WORKER_SECONDS", 0.5)
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as empty:
        address = empty.scheduler_address
        with pytest.raises(ClusterError) as raised, workers(cluster=address):
            pass
    assert str(raised.value) == f"the Dask scheduler at {address} knows no worker: start `dask worker {address}`"
    assert raised.value.exit_code == 2
