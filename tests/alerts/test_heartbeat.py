"""A heartbeat's address: what kind of service it belongs to, and how that is told of a start, of up and of down."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_alerts import Beat, Heartbeat, HeartbeatError
from nightdesk_alerts.heartbeat import HeartbeatKind

UUID = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
KEY = "fqOOd6-F4MMNuCEnzTU01w"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (f"https://hc-ping.com/{UUID}", "healthchecks"),
        (f"https://hc-ping.com/{KEY}/my-bot", "healthchecks"),
        (f"https://checks.example.org/ping/{UUID}", "healthchecks"),
        (f"https://checks.example.org:8000/sub/ping/{KEY}/my-bot", "healthchecks"),
        (f"https://hc-ping.com/{UUID}/fail", "healthchecks"),
        ("https://kuma.example.org/api/push/Ab3dE6gH1j", "uptime_kuma"),
        ("https://kuma.example.org/api/push/Ab3dE6gH1j?status=up&msg=OK&ping=", "uptime_kuma"),
        ("http://10.0.0.2:3001/sub/api/push/Ab3dE6gH1jAb3dE6gH1j", "uptime_kuma"),
    ],
)
def test_the_kind_shows_in_the_address(url: str, kind: str) -> None:
    assert Heartbeat(url).kind == kind


def test_an_address_of_no_known_form_needs_its_kind() -> None:
    with pytest.raises(HeartbeatError, match=r"say healthchecks .* or uptime_kuma") as refused:
        Heartbeat("https://monitor.example/hooks/s3cret-token")
    assert "s3cret" not in str(refused.value)
    assert Heartbeat("https://monitor.example/hooks/s3cret-token", "healthchecks").kind == "healthchecks"


@pytest.mark.parametrize(
    "url", ["", "hc-ping.com/x", "ftp://hc-ping.com/x", "https://", "https://a b/ping/x", "https://["]
)
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(HeartbeatError, match="is no address"):
        Heartbeat(url)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.99, float("inf"), float("nan")])
def test_an_interval_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(HeartbeatError, match="at least"):
        Heartbeat(f"https://hc-ping.com/{UUID}", interval_seconds=seconds)


@pytest.mark.parametrize("given", ["", "/", "/start", "/fail", "/log", "/7"])
@pytest.mark.parametrize(("beat", "end"), [(Beat.START, "/start"), (Beat.UP, ""), (Beat.DOWN, "/fail")])
def test_healthchecks_are_told_by_the_path_and_keep_their_query(given: str, beat: Beat, end: str) -> None:
    request = Heartbeat(f"https://hc-ping.com/{UUID}{given}?create=1").request(beat, "words", took_seconds=0.5)
    assert request == (f"https://hc-ping.com/{UUID}{end}?create=1", {}, "words")


def test_uptime_kuma_is_told_by_parameters_and_knows_no_start() -> None:
    heartbeat = Heartbeat("https://kuma.example/api/push/Ab3dE6gH1j?status=up&msg=OK&ping=")
    assert heartbeat.request(Beat.START, "started", took_seconds=None) is None
    up = heartbeat.request(Beat.UP, "", took_seconds=None)
    assert up == ("https://kuma.example/api/push/Ab3dE6gH1j", {"status": "up", "msg": "OK", "ping": ""}, None)
    down = heartbeat.request(Beat.DOWN, "x" * 1_000, took_seconds=0.0421)
    assert down is not None
    assert down.parameters == {"status": "down", "msg": "x" * 200, "ping": "42"}


@given(st.text(max_size=40), st.sampled_from(["", "healthchecks", "uptime_kuma"]))
def test_no_address_ends_in_another_error_or_is_shown(text: str, kind: HeartbeatKind) -> None:
    with suppress(HeartbeatError):
        heartbeat = Heartbeat(f"https://s3cret.example/{text}", kind)
        assert "s3cret" not in repr(heartbeat)
        for beat in Beat:
            heartbeat.request(beat, text, took_seconds=1.0)
