"""What the page server passes on: whatever shows, and of what changes only silences."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk.pages.upstream import UPSTREAMS

BY_NAME = {upstream.server: upstream for upstream in UPSTREAMS}
SILENCE = "/api/v2/silence/2cedc6db-f566-4657-bb22-2b61ae5d8f86"


@pytest.mark.parametrize(
    ("server", "method", "path"),
    [
        ("prometheus", "GET", "/"),
        ("prometheus", "GET", "/classic/alerts"),
        ("prometheus", "HEAD", "/metrics"),
        ("prometheus", "GET", "/api/v1/query"),
        ("prometheus", "POST", "/api/v1/query_range"),
        ("prometheus", "GET", "/api/v1/label/bot%20name/values"),
        ("prometheus", "GET", "/-/healthy"),
        ("alertmanager", "GET", "/api/v2/alerts"),
        ("alertmanager", "POST", "/api/v2/silences"),
        ("alertmanager", "DELETE", SILENCE),
        ("pushgateway", "GET", "/metrics"),
    ],
)
def test_what_shows_and_silences_are_passed_on(server: str, method: str, path: str) -> None:
    assert BY_NAME[server].allows(method, path)  # type: ignore[index]


@pytest.mark.parametrize(
    ("server", "method", "path"),
    [
        ("prometheus", "POST", "/-/quit"),
        ("prometheus", "PUT", "/-/reload"),
        ("prometheus", "POST", "/api/v1/admin/tsdb/delete_series"),
        ("prometheus", "POST", "/api/v1/write"),
        ("prometheus", "POST", "/api/v1/query/../admin/tsdb/snapshot"),
        ("prometheus", "POST", "/api/v1/query%2f..%2fadmin"),
        ("prometheus", "POST", "/api/v1/query/"),
        ("prometheus", "GET", "/debug/pprof/profile"),
        ("prometheus", "GET", "/%64ebug/pprof/"),
        ("prometheus", "GET", "/static/../debug/pprof/"),
        ("prometheus", "GET", "//debug/pprof/"),
        ("prometheus", "GET", ""),
        ("prometheus", "OPTIONS", "/api/v1/query"),
        ("alertmanager", "POST", "/api/v2/alerts"),
        ("alertmanager", "POST", "/-/reload"),
        ("alertmanager", "DELETE", "/api/v2/silence/"),
        ("alertmanager", "DELETE", f"{SILENCE}/x"),
        ("alertmanager", "GET", "/debug"),
        ("pushgateway", "PUT", "/metrics/job/x"),
        ("pushgateway", "POST", "/metrics/job/x"),
        ("pushgateway", "DELETE", "/metrics/job/x"),
        ("pushgateway", "PUT", "/api/v1/admin/wipe"),
        ("pushgateway", "PUT", "/-/quit"),
    ],
)
def test_what_changes_anything_else_is_not(server: str, method: str, path: str) -> None:
    assert not BY_NAME[server].allows(method, path)  # type: ignore[index]


WORDS = "-/quit/reload/api/v1/v2/admin/silences/alerts/query/metrics/../././%2e%2e/%2f/debug/%64ebug/job/wipe/\\/%5c//"
SEGMENTS = st.sampled_from(WORDS.split("/"))
METHODS = st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"))


@given(parts=st.lists(SEGMENTS, max_size=7), method=METHODS, upstream=st.sampled_from(UPSTREAMS))
def test_no_path_that_another_server_reads_otherwise_passes(parts: list[str], method: str, upstream: object) -> None:
    path, found = "/" + "/".join(parts), next(each for each in UPSTREAMS if each is upstream)
    if not found.allows(method, path):
        return
    assert ".." not in unquote(path).split("/")
    assert "debug" not in unquote(path).split("/")[1:2]
    if method not in ("GET", "HEAD"):
        assert (found.server, method, path) in {
            ("prometheus", "POST", "/api/v1/query"),
            ("alertmanager", "POST", "/api/v2/silences"),
        }
