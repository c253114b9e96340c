"""Floods from the address that Prometheus scrapes from, too: containers, pods and a machine's programs share one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
from nightdesk_exporter.server import ExporterServer

from tests.campaigns import CAMPAIGN, cases
from tests.exporter.flood import FLOODS
from tests.exporter.test_server_load import ManySeries, make

SCRAPES = 20
PACE_SECONDS = cases(sample=20, campaign=1_000) / 1_000
"""A second in the campaign, as a quick Prometheus has it."""
SCRAPE_SECONDS = 10.0
"""How long a scrape may take: what Prometheus waits unless it is told otherwise."""
CLIENTS = 50
KINDS = list(FLOODS) if CAMPAIGN else ["wrong passwords", "pipelined", "other samples each time", "abandoned"]
PASSWORD = ("prometheus", "correct horse")
WEB_CONFIG = f"basic_auth_users: {{prometheus: {bcrypt.hashpw(PASSWORD[1].encode(), bcrypt.gensalt(10)).decode()!r}}}\n"


@pytest.fixture(params=["without passwords", "with passwords"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExporterServer]:
    file = None
    if request.param == "with passwords":
        file = tmp_path / "web.yml"
        file.write_text(WEB_CONFIG)
    server = make(ManySeries(100), web_config_file=file)
    yield server
    server.close()


@contextmanager
def flood(server: ExporterServer, *kinds: str, clients: int) -> Iterator[None]:
    """Flood the server by a process for each kind, until the block's end."""
    host, _, port = server.url.partition("://")[2].partition(":")
    floods = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.exporter.flood", kind, host, port, str(clients)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for kind in kinds
    ]
    try:
        for each in floods:
            assert each.stdout is not None
            each.stdout.readline()
        time.sleep(0.3)
        yield
    finally:
        for each in floods:
            each.kill()
            each.communicate()


def scraped(server: ExporterServer, get: Callable[..., requests.Response]) -> list[int | str]:
    """Return what became of each scrape: its status, or what it failed by."""
    found: list[int | str] = []
    for _ in range(SCRAPES):
        try:
            found.append(get(f"{server.url}/metrics", auth=PASSWORD, timeout=SCRAPE_SECONDS).status_code)
        except requests.RequestException as error:
            found.append(type(error).__name__)
        time.sleep(PACE_SECONDS)
    return found


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS)
def test_prometheus_gets_every_scrape_through_any_flood_from_its_own_address(server: ExporterServer, kind: str) -> None:
    with flood(server, kind, clients=CLIENTS):
        found = scraped(server, requests.get)
    assert found == [200] * SCRAPES


@pytest.mark.fuzz
def test_prometheus_gets_every_scrape_through_several_floods_at_once(server: ExporterServer) -> None:
    kinds = ("metrics", "pipelined", "wrong passwords", "slow")
    with flood(server, *kinds, clients=cases(sample=15, campaign=40)), requests.Session() as session:
        new: list[Any] = []
        kept: list[Any] = []
        threads = [
            threading.Thread(target=_into, args=(found, server, get))
            for found, get in ((new, requests.get), (kept, session.get))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (new, kept) == ([200] * SCRAPES, [200] * SCRAPES)


def _into(found: list[Any], server: ExporterServer, get: Callable[..., requests.Response]) -> None:
    found.extend(scraped(server, get))
