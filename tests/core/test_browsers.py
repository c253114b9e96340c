"""Which requests of a browser come from a page of somebody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.browsers import foreign_page, is_local

HOST = "127.0.0.1:8780"
OURS = {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
FOLLOWED = {"host": HOST, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": HOST},
        {"host": HOST, "sec-fetch-site": "none"},
        OURS,
        {"host": "LOCALHOST:1", "origin": "http://localhost:1"},
        {"host": "desk.example.com", "origin": "https://desk.example.com", "sec-fetch-site": "same-origin"},
    ],
    ids=["no browser", "typed", "our page", "capitals", "behind TLS"],
)
def test_our_own_pages_and_programs_are_nobody_elses(method: str, headers: dict[str, str]) -> None:
    assert foreign_page(method, headers) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1",
        "http://127.0.0.1:9999",
        "http://localhost:8780",
        "http://127.0.0.1:87800",
        "http://127.0.0.1:8780.evil.example",
        "http://evil.example#127.0.0.1:8780",
        "http://127.0.0.1:8780@evil.example",
        "http://[::1",
        "null",
        "",
        "127.0.0.1:8780",
        "file://",
    ],
)
def test_another_origin_is_refused_whatever_else_is_said(method: str, origin: str) -> None:
    """Another port of this machine, too: it may be another user's."""
    for site in ("same-origin", "none", "same-site", "cross-site"):
        assert foreign_page(method, {"host": HOST, "origin": origin, "sec-fetch-site": site})


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin", "whatever comes next"])
def test_without_an_origin_the_browser_still_says_whose_page_it_is(site: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        assert foreign_page(method, {"host": HOST, "sec-fetch-site": site})


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_may_be_followed_and_nothing_be_sent_or_framed_by_it(site: str) -> None:
    assert foreign_page("GET", {**FOLLOWED, "sec-fetch-site": site}) is None
    assert foreign_page("POST", {**FOLLOWED, "sec-fetch-site": site})
    for dest in ("iframe", "frame", "object", "embed", "image", "script", "empty", ""):
        assert foreign_page("GET", {**FOLLOWED, "sec-fetch-site": site, "sec-fetch-dest": dest})
    for mode in ("no-cors", "cors", "same-origin", "websocket", ""):
        assert foreign_page("GET", {**FOLLOWED, "sec-fetch-site": site, "sec-fetch-mode": mode})


@given(origin=st.text(max_size=60), method=st.sampled_from(["GET", "POST"]))
def test_no_other_text_passes_for_our_origin(origin: str, method: str) -> None:
    if origin.lower().partition("://")[2].partition("/")[0] != HOST:
        assert foreign_page(method, {"host": HOST, "origin": origin, "sec-fetch-site": "same-origin"})


@given(st.text(max_size=60))
def test_no_name_of_a_web_site_is_local(name: str) -> None:
    assert not is_local(f"{name}.example")
    assert not is_local(f"127.0.0.1.{name}.example:80")
