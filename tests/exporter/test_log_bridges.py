"""Nightdesk's log joined with the standard library's and with structlog's, each way, and nothing of theirs undone."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from loguru import logger
from nightdesk_exporter import BotExporter
from nightdesk_exporter.log_bridges import (
    send_to_logging,
    send_to_structlog,
    take_from_logging,
    take_from_structlog,
)
from nightdesk_exporter.logs import set_up


@pytest.fixture
def theirs() -> Iterator[io.StringIO]:
    """Return what a handler of the bot's own on the root logger writes."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level, before = logging.StreamHandler(written), root.level, list(root.handlers)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel("INFO")
    yield written
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def exporter() -> Iterator[BotExporter]:
    with BotExporter("mine", symbols=[], port=None) as running:
        yield running


def counted(exporter: BotExporter, level: str) -> float:
    return exporter.registry.get_sample_value("tradebot_log_messages_total", {"level": level}) or 0.0


def test_what_nightdesk_says_reaches_the_bots_handlers(exporter: BotExporter, theirs: io.StringIO) -> None:
    leave = send_to_logging()
    exporter.event("funding paid: 100% {sure}", level="WARNING")
    leave()
    exporter.event("unheard")
    assert theirs.getvalue() == "WARNING nightdesk funding paid: 100% {sure}\n"


def test_what_the_bot_logs_is_counted_and_its_handler_hears_it_once(
    exporter: BotExporter, theirs: io.StringIO, messages: list[str]
) -> None:
    leave = take_from_logging("INFO")
    logging.getLogger("strategy").error("no %s for {x}", "price")
    leave()
    logging.getLogger("strategy").error("unheard")
    assert [line for line in messages if "price" in line] == ["no price for {x}"]
    assert counted(exporter, "error") == 1
    assert theirs.getvalue() == "ERROR strategy no price for {x}\nERROR strategy unheard\n"


def test_both_ways_at_once_nothing_goes_round_in_a_circle(
    exporter: BotExporter, theirs: io.StringIO, messages: list[str]
) -> None:
    leaves = [take_from_logging("INFO"), send_to_logging()]
    logging.getLogger("strategy").warning("theirs")
    exporter.event("ours")
    for leave in leaves:
        leave()
    assert theirs.getvalue() == "WARNING strategy theirs\nINFO nightdesk ours\n"
    assert (messages.count("theirs"), messages.count("ours")) == (1, 1)


def test_a_log_call_whose_arguments_do_not_fit_raises_into_nobody(theirs: io.StringIO, messages: list[str]) -> None:
    leave = take_from_logging("INFO")
    logging.raiseExceptions, before = False, logging.raiseExceptions
    try:
        logging.getLogger("strategy").warning("%d candles", "many")
    finally:
        logging.raiseExceptions = before
        leave()
    assert any("which do not fit" in line for line in messages)


def test_setting_up_our_log_leaves_the_bots_handlers_where_they_are(theirs: io.StringIO, tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    try:
        for _ in range(2):
            set_up("bot", folder=tmp_path, show=lambda _: None)
        assert [handler for handler in logging.getLogger().handlers if handler in before] == before
        assert len(logging.getLogger().handlers) == len(before) + 1
        logging.getLogger("strategy").warning("heard by both")
    finally:
        logger.remove()
        logger.configure(patcher=None, extra={})
    assert "WARNING strategy heard by both\n" in theirs.getvalue()
    lines = [json.loads(line) for line in (tmp_path / "bot.jsonl").read_text().splitlines()]
    assert [line["message"] for line in lines] == ["heard by both"]


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """Return the events that structlog would have rendered, after our processor."""
    seen: list[dict[str, Any]] = []

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        seen.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.stdlib.add_log_level, take_from_structlog, keep])
    yield seen
    structlog.reset_defaults()


def test_what_structlog_is_told_is_counted_and_goes_on_unchanged(
    exporter: BotExporter, events: list[dict[str, Any]], messages: list[str]
) -> None:
    structlog.get_logger().error("order {refused}", symbol="BTC/USDT", event_id=7)
    assert events == [{"event": "order {refused}", "symbol": "BTC/USDT", "event_id": 7, "level": "error"}]
    assert [line for line in messages if "refused" in line] == ["order {refused}"]
    assert counted(exporter, "error") == 1


@pytest.mark.parametrize("method", ["debug", "info", "warning", "warn", "error", "critical", "fatal", "msg"])
def test_every_method_of_structlog_is_taken(events: list[dict[str, Any]], messages: list[str], method: str) -> None:
    getattr(structlog.get_logger(), method)("said")
    assert len(events) == messages.count("said") == 1


def test_what_nightdesk_says_becomes_an_event_and_does_not_come_back(
    exporter: BotExporter, events: list[dict[str, Any]], messages: list[str]
) -> None:
    leave = send_to_structlog(structlog.get_logger("nightdesk"))
    exporter.event("funding paid", level="ERROR")
    logger.bind(symbol="BTC").success("bound")
    leave()
    assert [(each["event"], each["level"]) for each in events] == [("funding paid", "error"), ("bound", "info")]
    assert events[1]["symbol"] == "BTC"
    assert messages.count("funding paid") == 1
