"""Logging: a console that people read, lines of JSON that rotate, levels as required, and no secret anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from nightdesk_core.secrets.redaction import HIDDEN, Redaction
from nightdesk_exporter import BotExporter
from nightdesk_exporter import logs as logs_module

from tests.exporter.conftest import BTC, NOW, Clock, make, samples
from tests.odd_files import NO_REGULAR_FILES, at_most

DISCORD = "https://discord.com/api/webhooks/123456789012345678/aVeryLongTokenOfDiscord"
SetUp = Callable[..., Path]


@pytest.fixture
def set_up(tmp_path: Path) -> SetUp:
    """Set logging up as a program does."""

    def begin(**options: Any) -> Path:
        logs_module.set_up("bot", folder=tmp_path, **options)
        return tmp_path / "bot.jsonl"

    return begin


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_file_holds_a_line_of_json_for_each_message(set_up: SetUp) -> None:
    path = set_up()
    logger.bind(trades=3, ratios={"win": 0.5}).warning("guard: {}", "paused")
    (line,) = lines(path)
    assert line.pop("at").startswith("20")
    assert line.pop("where").startswith("tests.exporter.test_logs:")
    assert line == {
        "level": "warning",
        "message": "guard: paused",
        "extra": {"trades": 3, "ratios": {"win": 0.5}},
    }


def test_the_console_is_for_people(set_up: SetUp, capsys: pytest.CaptureFixture[str]) -> None:
    set_up()
    logger.info("model {} is in use", "v1")
    assert capsys.readouterr().err.rstrip("\n").endswith(" INFO     model v1 is in use")


def test_a_traceback_is_in_both(set_up: SetUp, capsys: pytest.CaptureFixture[str]) -> None:
    path = set_up()
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("it failed")
    (line,) = lines(path)
    assert line["message"] == "it failed"
    assert line["traceback"].endswith("ZeroDivisionError: division by zero")
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_no_secret_reaches_a_message_an_extra_or_a_traceback(set_up: SetUp, capsys: pytest.CaptureFixture[str]) -> None:
    path = set_up(secrets=[DISCORD, "pass wörd/1", "", "123:telegram-token"])
    logger.bind(url=DISCORD, nested=["pass wörd/1"]).error("posting to {} with {}", DISCORD, "pass wörd/1")
    logger.info("escaped: pass%20w%C3%B6rd%2F1, {!r}", "pass wörd/1")
    logger.info(json.dumps({"password": "pass wörd/1", "bot": "https://api.telegram.org/bot123:telegram-token/x"}))
    try:
        raise OSError("Max retries exceeded with url: /api/webhooks/123456789012345678/aVeryLongTokenOfDiscord")
    except OSError:
        logger.exception("it failed")
    shown = path.read_text() + capsys.readouterr().err
    for secret in (DISCORD, "wörd", "pass%20", "aVeryLongTokenOfDiscord", "123456789012345678", "telegram-token"):
        assert secret not in shown
    assert "/api/webhooks/" in shown  # what is no secret of a URL stays readable
    assert shown.count(HIDDEN) >= 10


def test_what_requests_quotes_of_a_webhook_is_hidden(set_up: SetUp) -> None:
    path = set_up(secrets=[DISCORD])
    there = DISCORD.replace("https://discord.com", "http://127.0.0.1:9")
    try:
        requests.post(there, timeout=1)
    except requests.ConnectionError:
        logger.exception("the webhook does not answer")
    assert "aVeryLongTokenOfDiscord" not in path.read_text()
    assert "the webhook does not answer" in path.read_text()


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_hidden_wherever_it_stands(secret: str, before: str, after: str) -> None:
    found = Redaction([secret]).text(f"{before}{secret}{after}")
    if secret.strip() and len(secret.strip()) >= 4:
        assert secret.strip() not in found.replace(HIDDEN, "\x00") or HIDDEN in secret


def test_what_cannot_be_shown_does_not_raise_into_the_loop(set_up: SetUp) -> None:
    class Broken:
        def __str__(self) -> str:
            raise OSError("gone")

    path = set_up()
    logger.bind(thing=Broken()).info("it goes on")
    assert lines(path)[0]["extra"]["thing"] == "<Broken that cannot be shown: OSError>"


def test_what_json_cannot_say_does_not_raise_into_the_loop(set_up: SetUp) -> None:
    path = set_up()
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    logger.bind(thing=cyclic).info("it goes on")
    logger.info("and on")
    assert [line["message"] for line in lines(path)] == ["it goes on", "and on"]
    assert "nested too deep" in json.dumps(lines(path)[0]["extra"])


def test_what_libraries_log_comes_here_too_from_warnings_on(set_up: SetUp) -> None:
    path = set_up(secrets=["hunter22"])
    logging.getLogger("some.library").info("connecting")
    logging.getLogger("some.library").warning("login as %s failed", "hunter22")
    (line,) = lines(path)
    assert (line["level"], line["message"]) == ("warning", f"login as {HIDDEN} failed")
    assert line["where"].startswith("tests.exporter.test_logs:")


def test_what_a_library_logs_below_a_warning_stays_away_also_where_it_has_a_level_of_its_own(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = set_up()
    library = logging.getLogger("a_library_that_talks")
    monkeypatch.setattr(library, "level", logging.INFO)  # as Dask's
    library.info("closing")
    library.warning("closed")
    assert [line["message"] for line in lines(path)] == ["closed"]


def test_the_file_rotates_and_old_ones_go(set_up: SetUp, tmp_path: Path) -> None:
    set_up(rotation_megabytes=0.002, keep_files=3)
    for number in range(400):
        logger.info("message {} {}", number, "x" * 80)
    files = sorted(tmp_path.glob("bot*.jsonl"))
    assert len(files) == 4
    assert all(path.stat().st_size < 2_500 for path in files)
    assert "message 399" in (tmp_path / "bot.jsonl").read_text()


@pytest.fixture
def told(clock: Clock) -> Iterator[tuple[BotExporter, list[tuple[str, str]]]]:
    """Return an exporter and, as level and message, what it logs."""
    caught: list[tuple[str, str]] = []
    sink = logger.add(
        lambda message: caught.append((message.record["level"].name, message.record["message"])), level="DEBUG"
    )
    yield make(clock), caught
    logger.remove(sink)


Told = tuple[BotExporter, list[tuple[str, str]]]


def test_the_monitoring_points_of_the_requirements_have_their_levels(told: Told) -> None:
    exporter, caught = told
    exporter.kill_switch(active=False)
    exporter.kill_switch(active=True, reason="by hand")
    exporter.kill_switch(active=True, reason="by hand")
    exporter.kill_switch(active=False, reason="all is well")
    exporter.regime(BTC, "ranging")
    exporter.regime(BTC, "trending_up")
    exporter.guard("normal")
    exporter.guard("paused", reason="losing streak of 14")
    exporter.guard("reduced", reason="a day passed")
    exporter.guard("normal", reason="recovered")
    exporter.model("v1", trained_at=NOW)
    exporter.model("v2", trained_at=NOW, standing="probation")
    assert caught == [
        ("CRITICAL", "the kill switch is active: by hand"),
        ("WARNING", "the kill switch was lifted: all is well"),
        ("INFO", f"regime of {BTC}: ranging to trending_up"),
        ("ERROR", "guard: normal to paused: losing streak of 14"),
        ("WARNING", "guard: paused to reduced: a day passed"),
        ("INFO", "guard: reduced to normal: recovered"),
        ("INFO", "model v1 is in use, champion"),
        ("INFO", "model v2 is in use, probation, instead of v1"),
    ]


def test_an_api_error_is_an_error_and_one_that_lasts_is_logged_once_a_minute(told: Told, clock: Clock) -> None:
    exporter, caught = told

    def fail(error: Exception) -> None:
        with pytest.raises(type(error)), exporter.request("candles of BTC"):
            raise error

    for seconds in (0, 10, 20, 61):
        clock.now = NOW + seconds
        fail(TimeoutError("no answer within 10 s"))
    fail(ValueError("x" * 500))
    assert caught == [
        ("ERROR", "candles of BTC failed: TimeoutError: no answer within 10 s"),
        (
            "ERROR",
            "candles of BTC failed: TimeoutError: no answer within 10 s (2 more of its kind in the last minute)",
        ),
        ("ERROR", f"candles of BTC failed: ValueError: {'x' * 200}"),
    ]
    assert exporter.snapshot.counters["exchange_request_failures", "TimeoutError"] == 4
    assert exporter.snapshot.counters["exchange_requests",] == 5


def test_no_secret_reaches_the_status_file_the_page_or_an_alert(clock: Clock) -> None:
    exporter = BotExporter("btc", symbols=[(BTC, "1h")], port=0, clock=clock, secrets=["hunter22"])
    with pytest.raises(OSError, match="hunter22"), exporter.request("an order"):
        raise OSError("https://exchange/?key=hunter22 refused")
    exporter.kill_switch(active=True, reason="hunter22")
    exporter.guard("paused", reason="hunter22")
    exporter.model_load_failed("hunter22")
    exporter.event("hunter22")
    exporter.note_error("a cause", ValueError("hunter22"))
    exporter._collector_failed("Mine", OSError("hunter22"))
    exporter.connection(connected=False, reason="hunter22")
    # A secret that a limit of length would cut in half.
    with pytest.raises(ValueError, match="hunter22"), exporter.request("a candle"):
        raise ValueError("x" * 193 + "hunter22")
    shown = json.dumps(exporter.status())
    assert "hunter" not in shown
    assert shown.count(HIDDEN) >= 8


def test_no_secret_reaches_a_log_that_was_never_set_up(clock: Clock, messages: list[str]) -> None:
    exporter = BotExporter("btc", symbols=[(BTC, "1h")], port=0, clock=clock, secrets=["hunter22"])
    try:
        raise OSError("hunter22")
    except OSError as error:
        exporter.note_error("a cause", error)
        exporter._collector_failed("Mine", error)
    assert "Traceback" in messages[0]
    assert not [message for message in messages if "hunter22" in message]


def test_messages_are_counted_by_level_while_the_exporter_serves(clock: Clock) -> None:
    exporter = make(clock)
    with exporter:
        logger.info("one")
        logger.error("two")
        logger.debug("not counted")
        counted = samples(exporter, "log_messages_total")
    logger.error("after it")
    assert 'tradebot_log_messages_total{level="error"} 1.0' in counted
    assert 'tradebot_log_messages_total{level="critical"} 0.0' in counted
    assert not [line for line in counted if "debug" in line]
    assert exporter.snapshot.counters["log_messages", "error"] == 1


def test_logging_that_is_set_up_anew_meanwhile_does_not_break_the_end(set_up: SetUp, clock: Clock) -> None:
    with make(clock):
        set_up()


@pytest.mark.parametrize("kind", NO_REGULAR_FILES)
def test_whatever_lies_there_for_a_log_the_console_has_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    NO_REGULAR_FILES[kind](tmp_path / "bot.jsonl")
    with at_most(5):
        logs_module.set_up("bot", folder=tmp_path)
        logger.info("it trades")
        logger.remove()
    assert "it trades" in capsys.readouterr().err
