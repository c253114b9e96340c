"""HTML that cannot forget to escape: the type, and every text of the page through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.text import clean
from nightdesk_exporter.page import View, document
from nightdesk_exporter.page.html import NOTHING, Html, escaped

from tests.exporter.conftest import Clock
from tests.exporter.page.conftest import EVIL, STATES, view

DANGEROUS = st.text(
    st.sampled_from("<>&\"'`=/\x00\x07\x1b\x7f\x9b\n\r\t\u2028\u202e\u200b\ud800") | st.characters(), min_size=1
) | st.sampled_from(["<script>alert(1)</script>", '" onload="x', "' onload='x", "--><script>", "</style>", EVIL, "{}"])


@given(text=DANGEROUS)
def test_text_that_is_put_into_html_is_text_and_comes_out_as_it_went_in(text: str) -> None:
    shown = clean(text)
    for made in (
        Html("<b>{}</b>").format(text),
        Html("<b>{text}</b>").format(text=text),
        Html("<b>") + text + Html("</b>"),
        NOTHING.join([Html("<b>"), text, Html("</b>")]),
    ):
        assert type(made) is Html
        inner = made.removeprefix("<b>").removesuffix("</b>")
        assert not set(inner) & set("<>\"'")
        assert unescape(inner) == shown
        made.encode()
    assert text + Html("<br>") == escaped(text) + Html("<br>")


def test_html_that_is_put_into_html_stays_html() -> None:
    inner = Html("<i>&amp;</i>")
    assert Html("<b>{}{}</b>").format(inner, 5) == "<b><i>&amp;</i>5</b>"
    assert Html("<br>").join([inner, inner]) == "<i>&amp;</i><br><i>&amp;</i>"
    assert inner + inner == "<i>&amp;</i><i>&amp;</i>"
    assert escaped(inner) is inner


class Structure(HTMLParser):
    """A page's elements with the names of their attributes, and its text and attributes' values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.said += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def told(value: Any, text: str) -> Any:
    """Return a section with every text in it, and every key that is somebody's own, in place of `text`."""
    if isinstance(value, str):
        return text
    if isinstance(value, list):
        return [told(item, text) for item in value]
    if isinstance(value, Mapping):
        own = any("/" in key for key in value)  # symbols
        return {f"{text}{number}" if own else key: told(item, text) for number, (key, item) in enumerate(value.items())}
    return value


@pytest.fixture(scope="module", params=["unhealthy", "many", "stopped"])
def full(request: pytest.FixtureRequest) -> View:
    clock = Clock()
    return view(STATES[request.param](clock), clock)


@settings(max_examples=25, deadline=None)
@given(text=DANGEROUS)
def test_whatever_the_page_is_told_its_elements_are_the_same(full: View, text: str) -> None:
    page = document(replace(full, status=told(full.status, text)))
    found, plain = Structure(page), Structure(document(replace(full, status=told(full.status, "plain"))))
    assert found.elements == plain.elements
    shown = clean(text)
    assert sum(shown in said for said in found.said) >= sum("plain" in said for said in plain.said) / 2
    assert clean(page) == page
    page.encode()
