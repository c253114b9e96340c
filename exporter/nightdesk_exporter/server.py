"""The exporter's HTTP server: `/metrics`, `/healthz` and `/status`, on threads of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.health import Health, Verdict

_CLIENT_TIMEOUT_SECONDS = 10.0


class ExporterServer:
    """A running server. `url` is its base; `close()` ends it and its threads."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        host: str,
        port: int,
        health: Callable[[], Health],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        """Bind and serve; port 0 picks a free one. Raises `ExporterError` where the port is taken."""
        handler = type("Handler", (_Handler,), {"registry": registry, "health": health, "status": status})
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise ExporterError(f"the exporter cannot listen on {host}:{port} ({error.strerror})") from error
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="nightdesk-exporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    health: Callable[[], Health]
    status: Callable[[], dict[str, Any]]
    timeout = _CLIENT_TIMEOUT_SECONDS
    server_version = "nightdesk"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET request."""
        path = self.path.partition("?")[0]
        kind = type(self)
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.registry), content_type)
        elif path == "/healthz":
            health = kind.health()
            code = 503 if health.verdict is Verdict.UNHEALTHY else 200
            self._answer_json(code, {"status": health.verdict, "issues": [vars(issue) for issue in health.issues]})
        elif path == "/status":
            self._answer_json(200, kind.status())
        else:
            self._answer_json(404, {"error": f"there is no {path}; try /metrics, /healthz or /status"})

    def _answer_json(self, code: int, value: Any) -> None:
        self._answer(code, json.dumps(value, indent=2).encode() + b"\n", "application/json")

    def _answer(self, code: int, body: bytes, content_type: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server uses
        """Keep scrapes out of the log."""
