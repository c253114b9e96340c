"""Where a strategy's parallel work is done. The strategy only calls joblib, and knows nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib import parallel_config
from loguru import logger
from nightdesk_core.errors import NightdeskError

_CONNECT_SECONDS = 15.0
_WORKER_SECONDS = 15.0
"""So long a cluster without a worker is waited for."""


class ClusterError(NightdeskError):
    """The cluster cannot be used; the message says what to do."""

    exit_code = 2


@contextmanager
def workers(*, count: int = 0, cluster: str = "") -> Iterator[None]:
    """Have joblib's calls within the block done by `count` threads (0: one a core), or by the workers of a cluster.

    Threads, because what takes long is compiled and holds no lock. `cluster` is the address of a Dask scheduler. What a
    worker had begun when it was lost, another does again. Raises `ClusterError` where the scheduler does not answer,
    knows no worker, or Dask is not installed.
    """
    if not cluster:
        with parallel_config(backend="threading", n_jobs=count or -1):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError("a cluster needs Dask: pip install 'nightdesk[cluster]'") from error
    try:
        client = Client(  # type: ignore[no-untyped-call]
            cluster, timeout=_CONNECT_SECONDS, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise ClusterError(f"the Dask scheduler at {cluster} does not answer: {error or 'no connection'}") from error
    with client:
        try:
            # One that was lost is on its way back.
            client.wait_for_workers(1, timeout=_WORKER_SECONDS)
        except TimeoutError as error:
            known = f"the Dask scheduler at {cluster} knows no worker"
            raise ClusterError(f"{known}: start `dask worker {cluster}`") from error
        logger.info("the workers of {} train", cluster)
        with parallel_config(backend=_backend(client)):
            yield


def _backend(client: Any) -> Any:
    """Return joblib's backend for Dask, but that each task takes its arguments along.

    joblib puts large ones on one worker beforehand: with that they are lost, and with them every task that needs them.
    """
    from joblib._dask import DaskDistributedBackend

    class TakingAlong(DaskDistributedBackend):  # type: ignore[misc]  # joblib has no types
        def effective_n_jobs(self, n_jobs: int = 1) -> int:
            # Of one, joblib would do the work here.
            return max(2, int(super().effective_n_jobs(n_jobs)))

        def start_call(self) -> None:
            super().start_call()
            self.call_data_futures: dict[Any, Any] | None = None

        def stop_call(self) -> None:
            self.call_data_futures = {}
            super().stop_call()

    return TakingAlong(client=client, wait_for_workers_timeout=_WORKER_SECONDS)
