"""What a service's answer means, and what of it may be repeated."""

from __future__ import annotations

import pytest
from nightdesk_alerts.addresses import without_secrets
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Later, Refused
from nightdesk_alerts.delivery.web_response import WebResponse, judge, retry_after

WALL = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("Wed, 21 Oct 2015 07:30:00 GMT", 120.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:30:00", 120.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("Wed, 99 Oct 2015 99:99:99 GMT", None),
    ],
)
def test_when_to_come_back_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-AFTER": text}, wall=WALL) == seconds
    assert retry_after({}, wall=WALL) is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Delivered()),
        (204, Delivered()),
        (302, Refused("HTTP 302")),
        (400, Refused("HTTP 400")),
        (404, Refused("HTTP 404")),
        (408, Later("HTTP 408")),
        (425, Later("HTTP 425")),
        (429, Later("HTTP 429", None)),
        (500, Later("HTTP 500")),
        (503, Later("HTTP 503")),
    ],
)
def test_a_status_decides_whether_it_is_tried_again(status: int, outcome: DeliveryOutcome) -> None:
    assert judge(WebResponse(status, {}, b""), wall=WALL) == outcome


def test_a_body_says_more_exactly_than_a_header_when_to_come_back() -> None:
    answer = WebResponse(429, {"Retry-After": "1"}, b'{"retry_after": 0.3}')
    assert judge(answer, wall=WALL, after_seconds=0.3) == Later("HTTP 429", 0.3)
    nothings: list[object] = [None, True, "x", [], -1]
    for nothing in nothings:
        assert judge(answer, wall=WALL, after_seconds=nothing) == Later("HTTP 429", 1.0)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_none(body: bytes) -> None:
    assert WebResponse(200, {}, body).json() is None


def test_words_that_repeat_a_part_of_the_address_are_left_out() -> None:
    url = "https://user:passw0rd@host/api/webhooks/12345678/s3cr3t-token?key=abcdefgh"
    assert without_secrets("Unknown\nWebhook", url) == "Unknown Webhook"
    for part in ("passw0rd", "12345678", "s3cr3t-token", "key=abcdefgh"):
        assert without_secrets(f"no such thing as {part}", url) == ""
    assert without_secrets(None, url) == ""
