"""Nobody but the machine itself reaches the three servers: no other user of it, and no page in anybody's browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from nightdesk.pages.link import login_link
from nightdesk.passwords import GUARDED, password, password_file

from tests.desk.pages.conftest import PUSHED, SERVERS, Desk, awaited
from tests.other_user import OTHER, as_other_user

pytestmark = pytest.mark.servers

TRIES = Path(__file__).with_name("as_another_user.py")

WAYS = {
    "prometheus": [
        ("GET", "/api/v1/query?query=tradebot_equity"),
        ("GET", "/federate?match[]=tradebot_equity"),
        ("GET", "/metrics"),
        ("GET", "/classic/graph"),
        ("POST", "/-/quit"),
        ("PUT", "/-/quit"),
        ("POST", "/-/reload"),
        ("POST", "/api/v1/admin/tsdb/delete_series?match[]=tradebot_equity"),
        ("POST", "/api/v1/write"),
        ("GET", "/debug/pprof/heap"),
    ],
    "alertmanager": [
        ("POST", "/api/v2/silences"),
        ("POST", "/api/v2/alerts"),
        ("GET", "/api/v2/alerts"),
        ("GET", "/api/v2/status"),
        ("POST", "/-/reload"),
        ("GET", "/debug/pprof/heap"),
    ],
    "pushgateway": [
        ("POST", PUSHED),
        ("PUT", "/metrics/job/mine"),
        ("DELETE", PUSHED),
        ("GET", "/metrics"),
        ("PUT", "/api/v1/admin/wipe"),
        ("PUT", "/-/quit"),
    ],
    "pages": [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/prometheus/api/v1/query?query=tradebot_equity"),
        ("POST", "/alertmanager/api/v2/silences"),
        ("POST", "/silences/2cedc6db-f566-4657-bb22-2b61ae5d8f86/end"),
        ("POST", "/login"),
    ],
}
TEN_YEARS = {
    "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2046-01-01T00:00:00Z",
    "createdBy": "nobody",
    "comment": "for ever",
}


def as_another_user(desk: Desk, **more: Any) -> dict[str, Any]:
    """Return what another user of the machine got by trying everything."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    assert python is not None
    files = [password_file(desk.settings, server) for server in GUARDED]
    files += [desk.rendered.web_config(server) for server in SERVERS]  # type: ignore[arg-type]
    files += [Path(f"/proc/{pid}/environ") for pid in desk.pids.values()]
    wanted = {
        "files": [str(file) for file in files],
        "pids": list(desk.pids.values()),
        "ways": [[method, desk.address(server) + path] for server, ways in WAYS.items() for method, path in ways],
        "body": json.dumps(TEN_YEARS),
        **more,
    }
    done = as_other_user(python, "-", json.dumps(wanted), input=TRIES.read_text(), timeout_seconds=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_known_failure_22_no_other_user_of_the_machine_reads_silences_or_ends_anything(desk: Desk) -> None:
    found = as_another_user(desk)
    assert found["user"] == OTHER
    assert found["read"] == {}, "no password, no hash, no environment"
    assert found["signalled"] == []
    secrets = [password(desk.settings, server) for server in ("prometheus", "alertmanager", "pushgateway", "pages")]
    assert not [text for text in secrets if text and text in found["commands"]], "a process list shows no password"
    refused = {url: status for url, status in found["answers"].items() if status not in (401, 403)}
    assert refused == {}
    assert "12345" not in json.dumps(found["bodies"])
    assert desk.is_untouched()


def test_a_cookie_that_another_user_got_hold_of_is_of_no_use_to_them(desk: Desk) -> None:
    """Their own server on 127.0.0.1 gets it as soon as the operator's browser is led there: cookies know no port."""
    session = desk.operator()
    assert session.get(f"{desk.pages}/", timeout=5).ok
    cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    found = as_another_user(desk, headers={"Cookie": cookies, "Origin": desk.pages})
    assert {status for url, status in found["answers"].items() if desk.pages in url} <= {401, 403}
    assert session.get(f"{desk.pages}/", timeout=5).ok
    assert desk.is_untouched()


@pytest.mark.parametrize("server", SERVERS)
def test_with_the_machine_s_password_what_could_end_a_server_is_still_off(desk: Desk, server: str) -> None:
    """The password is for questions, pushes and silences."""
    for method in ("POST", "PUT"):
        for path in ("/-/quit", "/api/v1/admin/wipe", "/api/v1/admin/tsdb/snapshot"):
            login = ("nightdesk", password(desk.settings, server))  # type: ignore[arg-type]
            answer = requests.request(method, desk.address(server) + path, auth=login, timeout=5)  # type: ignore[arg-type]
            assert not answer.ok, path
    assert desk.is_untouched()


def test_no_other_origin_is_let_read_prometheus(desk: Desk) -> None:
    login = ("nightdesk", password(desk.settings, "prometheus"))
    answer = requests.get(
        f"{desk.address('prometheus')}/api/v1/query?query=up",
        auth=login,  # type: ignore[arg-type]
        headers={"Origin": "http://evil.example"},
        timeout=5,
    )
    assert answer.ok
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_everything_that_asks_the_servers_is_let_in(desk: Desk) -> None:
    """Prometheus scrapes itself, the others and the page server, and sends its alerts; amtool and the job come in."""

    def up() -> bool:
        found = desk.ask("prometheus", "/api/v1/query?query=up").json()["data"]["result"]
        return {each["metric"]["job"] for each in found if each["value"][1] == "1"} == {*SERVERS, "desk"}

    awaited(up, "every target but the bot to be up")
    # Not the Watchdog: what fires before Prometheus knows its Alertmanager is sent again only after a minute.
    url = '/api/v2/alerts?filter=alertname="TradebotDown"'
    alerts = awaited(lambda: desk.ask("alertmanager", url).json(), "an alert of Prometheus", seconds=40)
    assert alerts[0]["generatorURL"].startswith(f"{desk.pages}/prometheus/graph?"), "its link leads to the page server"
    done = desk.command("amtool", "alert")
    assert "TradebotDown" in done.stdout, done.stderr
    done = desk.command("retrain", "retire", "another-bot")
    assert (done.returncode, done.stderr) == (0, "")
    assert "does not answer" not in desk.command("silences").stdout
    assert desk.is_untouched()


def test_a_password_is_another_after_its_file_is_removed_and_all_is_started_anew(desk: Desk) -> None:
    """The servers take a new one at once: they read their web configuration with each request."""
    from nightdesk.render.configuration import render

    file = password_file(desk.settings, "alertmanager")
    before = file.read_text()
    file.unlink()
    render(desk.settings, out=desk.rendered.out)
    assert file.read_text() != before
    url = f"{desk.address('alertmanager')}/api/v2/status"
    assert requests.get(url, auth=("nightdesk", before), timeout=5).status_code == 401
    assert desk.ask("alertmanager", "/api/v2/status").ok
    assert desk.operator().get(f"{desk.pages}/alertmanager/api/v2/status", timeout=5).ok


def test_the_link_is_printed_by_a_command_and_not_by_a_log(desk: Desk) -> None:
    done = desk.command("login")
    assert done.stdout.startswith(f"{desk.pages}/login?token=")
    assert login_link(desk.settings) != done.stdout.strip()
    for log in desk.settings.home.glob("*.log"):
        assert "token=" not in log.read_text(errors="replace")
