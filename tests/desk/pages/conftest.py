"""The three real servers with their passwords, and the page server before them, in a home that others can enter."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from nightdesk.pages.link import login_link
from nightdesk.passwords import login, url_with_login
from nightdesk.render.configuration import Rendered, render
from nightdesk.settings import PortSettings, Settings, load
from nightdesk.stack.servers import alertmanager_command, prometheus_command, pushgateway_command
from nightdesk.stack.tools import Tools

from tests.e2e.conftest import free_ports

SECONDS = 20.0
PUSHED = "/metrics/job/tradebot_retrain/bot/btc"
SERVERS = ("prometheus", "alertmanager", "pushgateway")


def awaited(found: Callable[[], Any], what: str, *, seconds: float = SECONDS) -> Any:
    """Return what is found once it is anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:g} s for {what}")


@dataclass
class Desk:
    """The servers while they run. `pids` are theirs by name."""

    settings: Settings
    settings_file: Path
    rendered: Rendered
    tools: Tools
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def pages(self) -> str:
        """The page server's address."""
        return f"http://{self.settings.address('pages')}"

    def address(self, server: str) -> str:
        """Return a server's own address."""
        return f"http://127.0.0.1:{getattr(self.settings.stack.ports, server)}"

    def operator(self) -> requests.Session:
        """Return a session of somebody who followed the link."""
        session = requests.Session()
        assert session.get(login_link(self.settings), timeout=5, allow_redirects=False).status_code == 303
        session.headers["Origin"] = self.pages
        return session

    def ask(self, server: str, path: str) -> requests.Response:
        """Ask a server with the machine's password."""
        return requests.get(self.address(server) + path, auth=login(self.settings, server), timeout=5)  # type: ignore[arg-type]

    def silences(self) -> list[dict[str, Any]]:
        """Return the silences that are in force."""
        found = self.ask("alertmanager", "/api/v2/silences").json()
        return [silence for silence in found if silence["status"]["state"] == "active"]

    def end_silences(self) -> None:
        """End all silences."""
        for silence in self.silences():
            url = f"{url_with_login(self.settings, 'alertmanager')}/api/v2/silence/{silence['id']}"
            assert requests.delete(url, timeout=5).ok

    def is_untouched(self) -> bool:
        """Return whether every server answers, nothing is silenced, and what the job pushed is there alone."""
        assert all(self.ask(server, "/-/ready").ok for server in SERVERS)
        assert self.silences() == []
        groups = self.ask("pushgateway", "/api/v1/metrics").json()["data"]
        return [group["labels"]["job"] for group in groups] == ["tradebot_retrain"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands as a person does."""
        command = [sys.executable, "-m", "nightdesk", "--settings", str(self.settings_file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def running(tools: Tools, home: Path) -> Iterator[Desk]:
    """Start the servers, and stop them."""
    names = tuple(PortSettings.model_fields)
    document = {
        "home": str(home),
        "stack": {"ports": dict(zip(names, free_ports(len(names)), strict=True))},
    }
    settings_file = home / "nightdesk.yml"
    settings_file.write_text(yaml.safe_dump(document))
    settings = load(settings_file)
    rendered = render(settings, out=home / "rendered")
    desk = Desk(settings, settings_file, rendered, tools)
    commands = {
        "pushgateway": pushgateway_command(settings, tools, rendered),
        "alertmanager": alertmanager_command(settings, tools, rendered),
        "prometheus": prometheus_command(settings, tools, rendered),
        "pages": [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), "pages"],
    }
    started = []
    try:
        for name, command in commands.items():
            with (home / f"{name}.log").open("wb") as log:
                started.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=home))
            desk.pids[name] = started[-1].pid
        for server in SERVERS:
            awaited(lambda server=server: desk.ask(server, "/-/ready").ok, f"{server}, see {home}")  # type: ignore[misc]
        awaited(lambda: requests.get(f"{desk.pages}/healthz", timeout=5).ok, f"the page server, see {home}")
        yield desk
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=30)


@pytest.fixture(scope="package")
def desk(tools: Tools) -> Iterator[Desk]:
    """One for all tests, which leave it as it was."""
    home = Path(tempfile.mkdtemp(prefix="nightdesk-", dir="/tmp"))
    home.chmod(0o755)  # the folder keeps nobody out: what is in it must
    (home / "tools").symlink_to(Path(tools.amtool).parent.parent)
    try:
        with running(tools, home) as desk:
            body = "tradebot_equity 12345\n"
            assert requests.post(
                desk.address("pushgateway") + PUSHED, data=body, auth=login(desk.settings, "pushgateway"), timeout=5
            ).ok
            awaited(
                lambda: desk.ask("prometheus", "/api/v1/query?query=tradebot_equity").json()["data"]["result"],
                "the equity in Prometheus",
            )
            yield desk
    finally:
        shutil.rmtree(home, ignore_errors=True)
