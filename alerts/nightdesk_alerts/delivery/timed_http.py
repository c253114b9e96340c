"""HTTP connections that a `Deadline` cuts, for a session of requests."""

from __future__ import annotations

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from nightdesk_alerts.delivery.deadline import watch


class _Timed(HTTPConnection):
    """Is watched from the moment that it stands, before TLS and a proxy, and in each request that it is used again."""

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        watch(connection)
        return connection

    def request(self, *arguments: Any, **keywords: Any) -> None:
        if self.sock is not None:
            watch(self.sock)
        super().request(*arguments, **keywords)


class _TimedTLS(HTTPSConnection, _Timed):
    """The same over TLS."""


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _Timed


class _TimedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTLS


class _TimedAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        super().init_poolmanager(*arguments, **keywords)
        _have_timed(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **keywords: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*arguments, **keywords)
        _have_timed(manager)
        return manager


def _have_timed(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTLSPool}


def timed_session() -> requests.Session:
    """Return a session whose connections end with the `Deadline` of the block that they are used in."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _TimedAdapter())
    return session
