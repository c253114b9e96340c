"""Pushing the metrics to a Pushgateway: for a bot that nobody can reach, behind NAT or on somebody's laptop.

What lies in a Pushgateway stays there when the bot has died. Of that tells the age of its last push: `TradebotDown`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from loguru import logger
from nightdesk_alerts import url_problems
from prometheus_client import CollectorRegistry

from nightdesk_exporter.errors import ExporterError

_TIMEOUT_SECONDS = 10.0
_JOIN_SECONDS = 3.0


@dataclass(frozen=True)
class PushTo:
    """A Pushgateway, under which `job` the metrics are to lie in it, and how often they are pushed, in seconds.

    `url` may hold a name and a password. The rules take a minute without a push for a bot that is down. Raises
    `ExporterError` for an address that is none, and for an interval that is not between one second and thirty.
    """

    url: str = field(repr=False)
    job: str = "tradebot"
    interval_seconds: float = 15.0

    def __post_init__(self) -> None:
        """Refuse what can never arrive."""
        if not self.url or any(url_problems("push_to", self.url)):
            raise ExporterError("push_to is no address: it must read http://host:9091")
        if not self.job or not 1.0 <= self.interval_seconds <= 30.0 or math.isnan(self.interval_seconds):
            raise ExporterError("push_to: the job must have a name, and the interval be between 1 s and 30 s")


class Pusher:
    """Pushes a registry on a thread of its own, a last time when it is stopped; `failed` is told of each failure."""

    def __init__(self, to: PushTo, registry: CollectorRegistry, *, bot: str, failed: Callable[[], None]) -> None:
        self._to = to
        self._registry = registry
        self._bot = bot
        self._failed = failed
        self._failing = False
        self._stopped = threading.Event()
        parts = urlsplit(to.url)
        self._login = (unquote(parts.username or ""), unquote(parts.password or ""))
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._thread = threading.Thread(target=self._run, name="nightdesk-push", daemon=True)

    def start(self) -> None:
        """Push now, and go on."""
        self._thread.start()

    def stop(self) -> None:
        """Push a last time, and end. Waits for three seconds at most."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._push()
            self._stopped.wait(self._to.interval_seconds)
        self._push()

    def _push(self) -> None:
        from prometheus_client.exposition import basic_auth_handler, default_handler, push_to_gateway

        name, password = self._login

        def with_login(
            url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
        ) -> Callable[[], None]:
            return basic_auth_handler(url, method, timeout, headers, data, name, password)

        try:
            push_to_gateway(
                self._url,
                job=self._to.job,
                registry=self._registry,
                grouping_key={"bot": self._bot},
                timeout=_TIMEOUT_SECONDS,
                handler=with_login if name else default_handler,
            )
        except Exception as error:  # noqa: BLE001 - the top of a job: the next push may arrive
            self._failed()
            if not self._failing:
                what = f"HTTP {error.code}" if hasattr(error, "code") else type(error).__name__
                logger.warning("the metrics were not pushed ({}): Prometheus will take the bot for dead", what)
            self._failing = True
            return
        if self._failing:
            logger.info("the metrics are pushed again")
        self._failing = False
