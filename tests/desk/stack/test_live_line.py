"""The live line: one line, whatever the bot, the inbox and Alertmanager answer."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk.settings import Settings
from nightdesk.stack.live_line import live_line
from nightdesk_core.text import line

from tests.campaigns import cases
from tests.desk.answering import (
    Talk,
    answering,
    hanging_up,
    no_http,
    saying,
    silence,
    trickling_body,
    trickling_head,
    without_end,
)
from tests.desk.conftest import Load

STATUS: dict[str, Any] = {
    "bot": {"market_time": "2019-10-17T09:00:00Z"},
    "trading": {
        "trading_expected": True,
        "guard": "normal",
        "kill_switch": False,
        "regime": {"BTC/USDT:USDT": "ranging", "EUR/USDT:USDT": "trending_up"},
    },
    "model": {"version": "v20261101T000000Z-1a2b3c4d", "standing": "probation"},
    "risk": {"equity": 10_013.216, "currency": "USDT", "drawdown_ratio": 0.0123},
}
HOSTILE = "[/boom]\x1b]0;owned\x07\u202e\n2019-10-17 09:00 · equity 99,999,999.00 USDT\ud800"
WRONG: tuple[Any, ...] = (None, True, 0, -1.5, "7", "", HOSTILE, [], [[]], {}, {"a": None}, 10**400)


@pytest.fixture
def inbox_off(settings_with: Load) -> Settings:
    """Settings of a stack whose inbox does not answer."""
    return settings_with()


def inbox(title: object) -> Any:
    """Return what an inbox says whose newest message has this title."""
    return lambda path: saying({"last_id": 7, "messages": []} if "?" in path else {"id": 7, "title": title})


def shown(found: Settings, status: Talk) -> str:
    with answering(found.port("bot"), status):
        return live_line(found)


def test_it_says_how_the_bot_stands(inbox_off: Settings) -> None:
    with answering(inbox_off.port("inbox"), inbox("CRITICAL: TradebotDown (btc)"), by_path=True):
        said = shown(inbox_off, saying(STATUS))
    assert said == (
        "2019-10-17 09:00 · equity 10,013.22 USDT · drawdown 1.23% · guard normal"
        " · regime BTC ranging, EUR trending_up · model 1a2b3c4d probation · last alert: CRITICAL: TradebotDown (btc)"
    )


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        *((saying({"error": "no"}, status=code), f"answers {code}") for code in (301, 401, 404, 421, 429, 500, 503)),
        (saying(b"<html>It works!</html>", kind="text/html"), "answers what was not expected ("),
        (saying(b""), "answers what was not expected ("),
        (saying(b"\xff\xfe\x00"), "answers what was not expected"),
        (saying([]), "answers what was not expected (Input should be a valid dictionary"),
        (saying(None), "answers what was not expected (Input should be a valid dictionary"),
        (saying({}), "answers what was not expected (bot: Field required)"),
        (saying(b"[" * 200_000), "answers what was not expected"),
        (without_end, "answers more than 4 MB"),
        (no_http, "does not answer"),
        (hanging_up, "does not answer"),
        (silence, "does not answer"),
        (trickling_head, "does not answer within 2 s"),
        (trickling_body, "does not answer within 2 s"),
    ],
)
def test_known_failure_21_an_unexpected_answer_of_the_bot_is_a_line_that_says_so(
    inbox_off: Settings, talk: Talk, why: str
) -> None:
    begun = time.monotonic()
    said = shown(inbox_off, talk)
    assert said.startswith(f"btc: cannot be shown: {inbox_off.bot_url}/status {why}")
    assert line(said) == said
    assert time.monotonic() - begun < 5


def test_a_bot_that_is_not_there_is_a_line_that_says_so(inbox_off: Settings) -> None:
    assert "does not answer" in live_line(inbox_off)


def test_a_password_that_cannot_be_read_is_a_line_that_says_so(settings_with: Load) -> None:
    assert "cannot be shown" in live_line(settings_with("bot.scrape.password_file=nowhere", "bot.scrape.username=me"))


@pytest.mark.parametrize("talk", [saying(STATUS, status=429), saying([]), saying({"last_id": "7"}), silence, no_http])
def test_an_inbox_that_answers_nonsense_leaves_the_last_alert_unknown(inbox_off: Settings, talk: Talk) -> None:
    with answering(inbox_off.port("inbox"), talk):
        assert shown(inbox_off, saying(STATUS)).endswith("last alert: unknown")


@pytest.mark.parametrize("content", [[], [{"labels": {"alertname": "B"}}, {"labels": {"alertname": "A"}}], [1], {}, ""])
def test_without_an_inbox_it_says_what_fires_in_alertmanager(settings_with: Load, content: object) -> None:
    found = settings_with("sandbox.enabled=false")
    expected = {"[]": "none", "[1]": "unknown", "{}": "unknown", '""': "unknown"}.get(json.dumps(content), "A, B")
    with answering(found.port("alertmanager"), saying(content)):
        assert shown(found, saying(STATUS)).endswith(f"last alert: {expected}")


def test_known_failure_21_markup_and_commands_in_a_message_are_text(inbox_off: Settings) -> None:
    with answering(inbox_off.port("inbox"), inbox(HOSTILE[:-1]), by_path=True):
        said = shown(inbox_off, saying(STATUS))
    assert line(said) == said
    assert "last alert: [/boom]\ufffd]0;owned\ufffd\ufffd 2019-10-17 09:00" in said


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each key."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*path, key)
            yield from places(part, (*path, key))


def changed(status: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return a status with another value at a path; without the key where the value is `...`."""
    found = copy.deepcopy(status)
    part = found
    for key in path[:-1]:
        part = part[key]
    if value is ...:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return found


@pytest.mark.parametrize("path", list(places(STATUS)), ids=".".join)
def test_a_wrong_value_at_any_key_is_a_line(inbox_off: Settings, path: tuple[str, ...]) -> None:
    bodies = iter([changed(STATUS, path, value) for value in (..., *WRONG)])
    with answering(inbox_off.port("bot"), lambda _: saying(next(bodies)), by_path=True):
        for _ in (..., *WRONG):
            said = live_line(inbox_off)
            assert said
            assert line(said) == said


@settings(max_examples=cases(sample=100, campaign=5000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STATUS, "x"]), inner, max_size=5),
    )
    | st.builds(changed, st.just(STATUS), st.sampled_from(list(places(STATUS))), st.text(st.characters(codec=None)))
    | st.binary(max_size=200)
)
@pytest.mark.fuzz
def test_whatever_is_answered_is_a_line(inbox_off: Settings, body: object) -> None:
    said = shown(inbox_off, saying(body))
    assert said
    assert line(said) == said
    assert len(said) <= 1000
