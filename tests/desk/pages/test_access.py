"""Logging in at the page server: links that work once, sessions, the password."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk.pages.access import SESSION_SECONDS, TOKEN_SECONDS, Access, TooManyGuessesError, mint_token
from nightdesk_core.clock import WallTime

PASSWORD = "the password of the page server"
START = WallTime(1_800_000_000.0)


class Clock:
    """A wall clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> WallTime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(PASSWORD, clock=clock)


def token(clock: Clock) -> str:
    return mint_token(PASSWORD, now=clock())


def test_a_link_logs_in_once(access: Access, clock: Clock) -> None:
    link = token(clock)
    session = access.redeem(link, peer=None)
    assert session is not None
    assert access.knows(session, peer=None)
    assert access.redeem(link, peer=None) is None


def test_links_of_one_moment_are_not_the_same(access: Access, clock: Clock) -> None:
    assert access.redeem(token(clock), peer=None)
    assert access.redeem(token(clock), peer=None)


def test_a_link_ends(access: Access, clock: Clock) -> None:
    early, late = token(clock), token(clock)
    clock.now = START + (TOKEN_SECONDS - 1)
    assert access.redeem(early, peer=None)
    clock.now = START + TOKEN_SECONDS
    assert access.redeem(late, peer=None) is None


def test_a_server_that_starts_anew_takes_no_link_from_before(clock: Clock) -> None:
    """It has forgotten which were used."""
    link = token(clock)
    assert Access(PASSWORD, clock=clock).redeem(link, peer=None)
    clock.now = START + 5
    assert Access(PASSWORD, clock=clock).redeem(link, peer=None) is None


def test_a_link_of_another_password_is_none(access: Access, clock: Clock) -> None:
    assert access.redeem(mint_token("another", now=clock()), peer=None) is None


@given(st.text(max_size=120))
def test_no_other_text_is_a_link(text: str) -> None:
    assert Access(PASSWORD, clock=Clock()).redeem(text, peer=None) is None


@given(at=st.integers(0, 10**15), change=st.sampled_from(["time", "nonce", "cut"]))
def test_a_link_that_was_changed_is_none(at: int, change: str) -> None:
    clock = Clock()
    issued, nonce, signature = token(clock).split(".")
    changed = {
        "time": f"{at}.{nonce}.{signature}",
        "nonce": f"{issued}.{nonce}x.{signature}",
        "cut": f"{issued}.{nonce}.{signature[:-1]}",
    }[change]
    assert changed.startswith(f"{issued}.{nonce}.{signature}") or (
        Access(PASSWORD, clock=clock).redeem(changed, peer=None) is None
    )


def test_a_session_ends_by_itself_and_by_logging_out(access: Access, clock: Clock) -> None:
    first, second = access.redeem(token(clock), peer=None), access.log_in(PASSWORD, peer=None)
    access.end(first)
    assert not access.knows(first, peer=None)
    assert access.knows(second, peer=None)
    clock.now = START + SESSION_SECONDS
    assert not access.knows(second, peer=None)


def test_a_session_that_began_in_the_future_has_ended(access: Access, clock: Clock) -> None:
    """The clock was set back: nobody knows how old it is, and it must not last as long as the clock was wrong."""
    session = access.log_in(PASSWORD, peer=None)
    clock.now = START - 3600
    assert not access.knows(session, peer=None)


def test_a_session_is_of_no_use_to_another_user_of_the_machine(access: Access, clock: Clock) -> None:
    session = access.redeem(token(clock), peer=1000)
    assert access.knows(session, peer=1000)
    assert not access.knows(session, peer=65534)
    assert not access.knows(session, peer=None)


@given(st.text(max_size=80) | st.none())
def test_no_other_text_is_a_session(text: str | None) -> None:
    access = Access(PASSWORD, clock=Clock())
    access.log_in(PASSWORD, peer=None)
    assert not access.knows(text, peer=None)


def test_the_oldest_of_too_many_sessions_ends(access: Access) -> None:
    sessions = [access.log_in(PASSWORD, peer=None) for _ in range(65)]
    assert [access.knows(session, peer=None) for session in sessions] == [False, *[True] * 64]


def test_guessing_is_slow_and_a_link_still_logs_in(access: Access, clock: Clock) -> None:
    for guess in ("a", "", PASSWORD + " ", PASSWORD[:-1], "\udcff"):
        assert access.log_in(guess, peer=None) is None
    with pytest.raises(TooManyGuessesError):
        access.log_in(PASSWORD, peer=None)
    assert access.redeem(token(clock), peer=None)
    clock.now = START + 61
    assert access.log_in(PASSWORD, peer=None)


def test_only_the_machine_s_own_user_and_password_are_the_machine(access: Access) -> None:
    def basic(text: str) -> str:
        return f"Basic {base64.b64encode(text.encode()).decode()}"

    assert access.is_machine(basic(f"nightdesk:{PASSWORD}"))
    others = (basic(f"admin:{PASSWORD}"), basic("nightdesk:"), basic(PASSWORD))
    for wrong in (*others, f"Bearer {PASSWORD}", "Basic ?", ""):
        assert not access.is_machine(wrong)


def test_after_the_clock_was_set_back_a_fresh_link_logs_in_once_and_an_old_one_does_not(
    access: Access, clock: Clock
) -> None:
    ahead = token(clock)
    clock.now = START - 3600
    fresh, stale = token(clock), token(clock)
    assert access.redeem(ahead, peer=None) is None
    clock.now = START - 3590
    assert access.redeem(fresh, peer=None)
    assert access.redeem(fresh, peer=None) is None
    clock.now = START - 3000
    assert access.redeem(stale, peer=None) is None


def _machine(password: str) -> str:
    return "Basic " + base64.b64encode(f"nightdesk:{password}".encode()).decode()


def test_guesses_at_the_metrics_are_limited_with_those_at_the_login(access: Access, clock: Clock) -> None:
    for guess in range(5):
        assert not access.is_machine(_machine(f"guess {guess}"), peer=1000)
    with pytest.raises(TooManyGuessesError):
        access.is_machine(_machine(PASSWORD), peer=1000)
    with pytest.raises(TooManyGuessesError):
        access.log_in(PASSWORD, peer=1000)
    clock.now = START + 60
    assert access.is_machine(_machine(PASSWORD), peer=1000)


def test_guesses_of_one_keep_nobody_else_out(access: Access) -> None:
    for guess in range(5):
        access.is_machine(_machine(f"guess {guess}"), peer=65534)
        access.is_machine(_machine(f"guess {guess}"), address="10.0.0.9")
    assert access.is_machine(_machine(PASSWORD), peer=1000)
    assert access.is_machine(_machine(PASSWORD), address="10.0.0.2")
