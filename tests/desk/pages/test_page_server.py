"""The page server, in front of the real servers: who gets in, what is passed on, what comes back."""

from __future__ import annotations

import re
import socket

import pytest
import requests
from nightdesk.passwords import login, password

from tests.desk.pages.conftest import PUSHED, Desk

pytestmark = pytest.mark.servers

NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
EQUITY = "/prometheus/api/v1/query?query=tradebot_equity"


def silence(desk: Desk, operator: requests.Session, **headers: str) -> requests.Response:
    body = {
        "matchers": [{"name": "alertname", "value": "TradebotNoTrades", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2046-01-01T00:00:00Z",
        "createdBy": "an operator",
        "comment": "a test",
    }
    return operator.post(f"{desk.pages}/alertmanager/api/v2/silences", json=body, headers=headers, timeout=5)


def test_who_is_not_logged_in_sees_the_login_and_nothing_else(desk: Desk) -> None:
    for path in ("/", EQUITY, "/alertmanager/api/v2/alerts", "/pushgateway/metrics", "/nowhere", "/prometheus/"):
        answer = requests.get(desk.pages + path, timeout=5)
        assert answer.status_code == 401
        assert "WWW-Authenticate" not in answer.headers, "the browser must not ask for a password and keep it"
        shown = requests.get(desk.pages + path, headers=NAVIGATION, timeout=5, allow_redirects=False)
        assert (shown.status_code, shown.headers["Location"].split("=")[0]) == (303, "/login?next")


def test_the_password_logs_in_and_leads_where_the_person_wanted_to(desk: Desk) -> None:
    with requests.Session() as session:
        session.headers["Origin"] = desk.pages
        form = {"password": password(desk.settings, "pages"), "next": EQUITY}
        wrong = session.post(f"{desk.pages}/login", data={"password": "guess"}, timeout=5)
        assert (wrong.status_code, "not the password" in wrong.text) == (403, True)
        answer = session.post(f"{desk.pages}/login", data=form, timeout=5, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, EQUITY)
        assert "12345" in session.get(desk.pages + EQUITY, timeout=5).text


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\r\nX: y", ""]
)
def test_a_login_leads_to_no_other_site(desk: Desk, target: str) -> None:
    form = {"password": password(desk.settings, "pages"), "next": target}
    headers = {"Origin": desk.pages}
    answer = requests.post(f"{desk.pages}/login", data=form, headers=headers, timeout=5, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_the_cookie_is_for_no_script_and_no_other_site(desk: Desk) -> None:
    operator = desk.operator()
    assert operator.cookies.keys() == [f"nightdesk_session_{desk.settings.port('pages')}"]
    form = {"password": password(desk.settings, "pages")}
    headers = {"Origin": desk.pages}
    told = requests.post(f"{desk.pages}/login", data=form, headers=headers, timeout=5, allow_redirects=False)
    said = told.headers["Set-Cookie"]
    assert {part.strip() for part in said.split(";")[1:]} == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"}


def test_the_machine_s_password_goes_to_the_server_and_the_cookie_does_not_come_from_it(desk: Desk) -> None:
    operator = desk.operator()
    answer = operator.get(desk.pages + EQUITY, headers={"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}, timeout=5)
    assert answer.json()["data"]["result"][0]["value"][1] == "12345", "what the browser sends is not passed on"
    assert not {"Set-Cookie", "WWW-Authenticate", "Authorization", "Access-Control-Allow-Origin"} & set(answer.headers)
    secrets = [password(desk.settings, server) for server in ("prometheus", "alertmanager", "pushgateway", "pages")]
    for path in (
        "/",
        EQUITY,
        "/alertmanager/api/v2/status",
        "/pushgateway/api/v1/status",
        "/prometheus/api/v1/status/config",
    ):
        text = operator.get(desk.pages + path, timeout=5).text
        assert not [secret for secret in secrets if secret and secret in text], path


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/prometheus/classic/alerts", "Alerts"),
        ("/prometheus/classic/targets", "Targets"),
        ("/prometheus/classic/graph", "Add Graph"),
        ("/pushgateway/", "Pushgateway"),
    ],
)
def test_the_servers_own_pages_are_shown_and_their_links_stay_here(desk: Desk, path: str, words: str) -> None:
    answer = desk.operator().get(desk.pages + path, timeout=5)
    assert answer.status_code == 200, answer.text
    assert words in answer.text
    links = re.findall(r'(?:href|src|action)="(/[^"]*)"', answer.text)
    prefix = "/" + path.split("/")[1] + "/"
    assert links
    assert [link for link in links if not link.startswith(prefix)] == []


def test_every_answer_keeps_to_its_own_page(desk: Desk) -> None:
    operator = desk.operator()
    for path in ("/", "/login", "/healthz", "/nowhere", EQUITY, "/pushgateway/metrics"):
        headers = operator.get(desk.pages + path, timeout=5).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_an_operator_silences_and_ends_it_on_the_start_page(desk: Desk) -> None:
    operator = desk.operator()
    assert silence(desk, operator).ok
    (found,) = desk.silences()
    assert found["createdBy"] == "an operator"
    ended = operator.post(f"{desk.pages}/silences/{found['id']}/end", timeout=5, allow_redirects=False)
    assert (ended.status_code, ended.headers["Location"]) == (303, "/")
    assert desk.is_untouched()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Origin": ""},
    ],
    ids=lambda headers: " ".join(f"{name}={value}" for name, value in headers.items()),
)
def test_with_the_cookie_alone_no_other_page_changes_anything(desk: Desk, headers: dict[str, str]) -> None:
    operator = desk.operator()
    assert silence(desk, operator, **headers).status_code in (403, 421)
    for path in ("/logout", "/login", "/silences/2cedc6db-f566-4657-bb22-2b61ae5d8f86/end"):
        assert operator.post(desk.pages + path, headers=headers, timeout=5).status_code in (403, 421)
    assert operator.get(f"{desk.pages}/", headers={"Origin": ""}, timeout=5).status_code == 403
    del operator.headers["Origin"]
    assert operator.get(f"{desk.pages}/", timeout=5).ok, "the session goes on"
    assert desk.is_untouched()


def test_what_says_nothing_of_its_page_may_read_and_change_nothing(desk: Desk) -> None:
    operator = desk.operator()
    del operator.headers["Origin"]
    assert operator.get(desk.pages + EQUITY, timeout=5).ok
    assert silence(desk, operator).status_code == 403
    assert desk.is_untouched()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/prometheus/-/quit"),
        ("PUT", "/prometheus/-/reload"),
        ("GET", "/prometheus/debug/pprof/heap"),
        ("GET", "/prometheus/%64ebug/pprof/heap"),
        ("POST", "/alertmanager/-/reload"),
        ("POST", "/alertmanager/api/v2/alerts"),
        ("DELETE", f"/pushgateway{PUSHED}"),
        ("PUT", "/pushgateway/api/v1/admin/wipe"),
        ("PATCH", "/prometheus/api/v1/query"),
    ],
)
def test_what_changes_anything_but_silences_is_not_passed_on(desk: Desk, method: str, path: str) -> None:
    answer = desk.operator().request(method, desk.pages + path, timeout=5)
    assert answer.status_code == 403
    assert "is not passed on" in answer.text
    assert desk.is_untouched()


def test_a_path_that_would_be_tidied_up_is_not_passed_on(desk: Desk) -> None:
    """Not by a library that tidies it up first."""
    operator = desk.operator()
    cookie = "; ".join(f"{name}={value}" for name, value in operator.cookies.items())
    host = desk.settings.address("pages")
    for path in ("/prometheus/x/../debug/pprof/heap", "/prometheus//debug/pprof/heap", "/prometheus/x/%2e%2e/-/quit"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", desk.settings.port("pages")), timeout=5) as client:
            client.sendall(request.encode())
            assert client.makefile("rb").readline().split()[1] == b"403", path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8780", ""])
def test_a_site_that_points_its_name_here_is_not_answered(desk: Desk, host: str) -> None:
    operator = desk.operator()
    del operator.headers["Origin"]
    answer = operator.get(f"{desk.pages}/", headers={"Host": host}, timeout=5)
    assert answer.status_code in (400, 421)


def test_a_followed_link_hops_over_a_page_of_ours_so_that_the_cookie_comes_along(desk: Desk) -> None:
    """A cookie that is Strict is not sent with a link that stands on another site."""
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
    answer = requests.get(f"{desk.pages}{EQUITY}&x=%22%3E%3Cscript%3E", headers=headers, timeout=5)
    assert answer.status_code == 200
    (target,) = re.findall(r'content="0; url=([^"]*)"', answer.text)
    assert target == f"{EQUITY}&amp;x=%22%3E%3Cscript%3E"
    outside = requests.get(f"{desk.pages}//evil.example/", headers=headers, timeout=5)
    assert 'url=/"' in outside.text


def test_metrics_are_for_the_machine_s_password_alone(desk: Desk) -> None:
    assert requests.get(f"{desk.pages}/metrics", timeout=5).status_code == 401
    assert desk.operator().get(f"{desk.pages}/metrics", timeout=5).status_code == 401
    text = requests.get(f"{desk.pages}/metrics", auth=login(desk.settings, "pages"), timeout=5).text
    assert "tradebot_critical_alerts_silenced_ratio 0.0" in text
    assert "tradebot_critical_alert_silenced_seconds 0.0" in text


def test_a_request_that_is_too_large_is_refused(desk: Desk) -> None:
    operator = desk.operator()
    answer = operator.post(f"{desk.pages}/alertmanager/api/v2/silences", data=b"x" * 200_000, timeout=5)
    assert answer.status_code == 413
