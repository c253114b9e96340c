"""A bot that has no model, no decisions or no candles says so once, and nobody misses them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightdesk_exporter import BotExporter, Limits, StatusFile
from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.health.issues import Verdict
from nightdesk_exporter.page import View, document
from nightdesk_exporter.snapshot import Position

from tests.exporter.conftest import BTC, NOW, Clock, samples, scrape
from tests.exporter.test_status_schema import problems

DAY = 86_400
LACKING: dict[str, Any] = {"symbols": [], "model": None, "decisions": False}


def lives(exporter: BotExporter, clock: Clock, *, seconds: float) -> list[str]:
    """Let time pass; return what is amiss with a bot whose loop turns, and that sees exchange and equity."""
    clock.now += seconds
    exporter.heartbeat()
    exporter.contact("rest")
    exporter.equity(1.0)
    return [issue.name for issue in exporter.health().issues]


def test_known_failure_29_a_bot_without_a_model_candles_or_decisions_is_healthy(clock: Clock) -> None:
    exporter = BotExporter("grid", port=0, clock=clock, **LACKING)
    for seconds in (1.0, 700.0, 10_000.0, 5.0 * DAY):
        assert lives(exporter, clock, seconds=seconds) == []
        assert exporter.health().verdict is Verdict.HEALTHY


@pytest.mark.parametrize(
    ("lacks", "missed"),
    [
        ({"symbols": []}, ["model_missing", "model_stale"]),
        ({"symbols": [(BTC, "1h")], "model": None}, ["candle_stale"]),
        ({"symbols": [(BTC, "1h")], "model": None, "decisions": False}, ["candle_stale"]),
        ({"symbols": [], "decisions": False}, ["model_missing", "model_stale"]),
    ],
)
def test_what_it_does_not_say_that_it_lacks_is_missed(lacks: dict[str, Any], missed: list[str], clock: Clock) -> None:
    exporter = BotExporter("grid", port=0, clock=clock, **lacks)
    assert lives(exporter, clock, seconds=8000.0) == missed


def test_only_the_decision_is_not_missed_of_a_bot_that_decides_on_no_candle(clock: Clock) -> None:
    for decisions, missed in ((False, []), (True, ["no_decision"])):
        exporter = BotExporter("grid", port=0, clock=clock, symbols=[(BTC, "1h")], model=None, decisions=decisions)
        clock.now += 8000
        exporter.candle(BTC, "1h", close_time=clock.now)
        assert lives(exporter, clock, seconds=0.0) == missed


def test_what_it_reports_all_the_same_counts(clock: Clock) -> None:
    exporter = BotExporter("grid", port=0, clock=clock, **LACKING)
    exporter.no_model()
    assert lives(exporter, clock, seconds=1.0) == []
    exporter.model("v1", trained_at=NOW - 91 * DAY)
    exporter.expect_candles(BTC, "1h", interval_seconds=3600)
    assert lives(exporter, clock, seconds=8000.0) == ["candle_stale", "model_stale"]
    exporter.no_model()
    assert "model_missing" in lives(exporter, clock, seconds=1.0)


def test_metrics_say_what_is_expected_and_leave_out_the_limit_of_what_is_not(clock: Clock) -> None:
    exporter = BotExporter("grid", port=0, clock=clock, **LACKING)
    assert samples(exporter, "report_expected") == [
        'tradebot_report_expected{what="model"} 0.0',
        'tradebot_report_expected{what="decisions"} 0.0',
        'tradebot_report_expected{what="candles"} 0.0',
    ]
    assert samples(exporter, "model_age_limit_seconds") == samples(exporter, "model_loaded") == []
    assert all(
        line.endswith(" 1.0") for line in samples(BotExporter("a", symbols=[BTC], timeframe="1h"), "report_expected")
    )


def test_status_file_and_page_leave_it_out(clock: Clock, tmp_path: Path) -> None:
    file = StatusFile(str(tmp_path / "status.json"))
    with BotExporter("grid", symbols=[(BTC, "1h")], port=0, clock=clock, status_file=file) as before:
        before.model("v1", trained_at=NOW)
    assert file.read()["model"]["version"] == "v1"
    with BotExporter("grid", port=0, clock=clock, status_file=str(file.path), **LACKING) as exporter:
        exporter.heartbeat()
    written = file.read()
    assert "model" not in written
    assert written["bot"]["without"] == ["candles", "decisions", "model"]
    assert not {"candles", "last_candle_received_at", "last_decision_at", "market_time"} & written["bot"].keys()
    assert problems(written) == []
    page = document(View(exporter.status(), [], Limits(), now=exporter.snapshot.started_at))
    for absent in ("Model", "Last candle", "Last decision", "Market time", "Candle stream"):
        assert absent not in page
    assert "Exchange answered" in page


def test_a_candle_made_from_silence_is_no_contact(clock: Clock) -> None:
    exporter = BotExporter("mine", symbols=[BTC], timeframe="1m", model=None, port=0, clock=clock)
    exporter.contact("rest")
    for _ in range(6):
        clock.now += 60
        exporter.heartbeat()
        exporter.candle(BTC, "1m", close_time=clock.now, contact=False)
        exporter.decision(BTC)
        exporter.equity(1.0)
    assert [issue.name for issue in exporter.health().issues] == ["exchange_disconnected"]
    exporter.candle(BTC, "1m", close_time=clock.now)
    assert exporter.health().issues == ()


def test_known_failure_38_candles_from_silence_are_no_contact_and_positions_not_named_are_flat(clock: Clock) -> None:
    exporter = BotExporter("mine", symbols=[], model=None, port=0, clock=clock)
    exporter.candle(BTC, "1h", close_time=NOW, contact=False)
    assert exporter.snapshot.contact_at == {}
    exporter.position("ETH", "short", size_ratio=0.5)
    exporter.positions({BTC: ("long", 0.4), "SOL": -0.25, "XRP": 0, "DOT": None, "ADA": "long"})
    assert exporter.snapshot.positions == {
        "ETH": None,
        BTC: Position(BTC, "long", 0.4),
        "SOL": Position("SOL", "short", 0.25),
        "XRP": None,
        "DOT": None,
        "ADA": Position("ADA", "long", 0.0),
    }
    exporter.positions({})
    assert set(exporter.snapshot.positions.values()) == {None}
    assert 'tradebot_open_positions{side="short",symbol="ETH"} 0.0' in scrape(exporter)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        [BTC],
        {BTC: "sideways"},
        {BTC: ("long",)},
        {BTC: ("long", -1)},
        {BTC: float("nan")},
        {5: 0.1},
        {BTC: True},
    ],
)
def test_positions_that_make_no_sense_change_none_and_do_not_raise(wrong: Any, full: BotExporter) -> None:
    before = dict(full.snapshot.positions)
    full.positions(wrong)
    assert full.snapshot.positions == before
    assert [cause.split(":")[0] for cause in full.snapshot.wrong_calls] == ["positions"]


def test_fees_may_be_in_several_currencies(full: BotExporter) -> None:
    full.trade(BTC, profit=Decimal("10"), fees={"BNB": Decimal("0.002"), "USDT": 1, "HYPE": -3.0})
    fees = set(samples(full, "fees_paid_total"))
    assert fees == {
        'tradebot_fees_paid_total{currency="USDT"} 10.0',
        'tradebot_fees_paid_total{currency="BNB"} 0.002',
        'tradebot_fees_paid_total{currency="HYPE"} 0.0',
    }


@pytest.mark.parametrize("wrong", ["1", None, {"BNB": "1"}, {5: 1.0}, [1.0]])
def test_fees_that_make_no_sense_count_no_trade_and_do_not_raise(wrong: Any, full: BotExporter) -> None:
    before = samples(full, "trades_closed_total")
    full.trade(BTC, profit=1.0, fees=wrong)
    assert samples(full, "trades_closed_total") == before
    assert "trade: fees" in full.snapshot.wrong_calls


@pytest.mark.parametrize("number", [Decimal("0.25"), Fraction(1, 4), np.float32(0.25), np.array(0.25)])
def test_known_failure_31_every_call_takes_numbers_of_every_kind(number: Any, full: BotExporter) -> None:
    full.equity(number, peak=number, daily_pnl_ratio=number)
    full.position(BTC, "long", size_ratio=number)
    full.positions({BTC: number, "ETH": ("short", number)})
    full.trade(BTC, profit=number, fees=number)
    full.clock_offset(number)
    full.decision(BTC, seconds=number)
    full.expect_candles(BTC, "1h", interval_seconds=number)
    full.guard("normal", size_multiplier=number, values={"win_rate": number}, limits={("win_rate", "paused"): number})
    full.promised(win_ratio=number, sharpe_ratio=number, max_drawdown_ratio=number, trade_interval_seconds=number)
    full.delivered(trades=1, win_ratio=number, evalue=number, gaps={"fees": number}, probation_share=number)
    full.shadow(trades_closed=0, win_ratio=number, drawdown_ratio=number)
    full.equity_history([(1.0, number)])
    full.set_limits(Limits(drawdown_warning_ratio=number, candle_grace_seconds=number))
    assert full.snapshot.wrong_calls == {}
    assert samples(full, "equity") == ['tradebot_equity{currency="USDT"} 0.25']
    assert full.health() is not None
    assert scrape(full)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "name: '' is not a bot's name; pass 1 to 100 characters"),
        ({"name": "a/b"}, "name: 'a/b' is no name of a file"),
        ({"symbols": "BTC/USDT"}, "symbols: they are 'BTC/USDT'; pass a list"),
        ({"symbols": ["BTC/USDT"]}, "symbols: 'BTC/USDT' has no timeframe"),
        ({"symbols": ["BTC/USDT"], "timeframe": "60"}, "symbols: '60' is no timeframe"),
        ({"model": "v1"}, "model is a str; pass True or False"),
        ({"decisions": None}, "decisions is None; pass True or False"),
        ({"currency": ""}, "currency: '' is not a symbol"),
        ({"limits": {"leverage_ratio": 2}}, "limits are none; pass a Limits"),
        ({"limits": Limits(leverage_ratio="2")}, "leverage_ratio: a str is no number"),  # type: ignore[arg-type]
        ({"health_check_interval_seconds": None}, "health_check_interval_seconds: None is no number"),
    ],
)
def test_what_cannot_be_is_refused_at_once_with_what_is_allowed(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ExporterError, match=message):
        BotExporter(**{"name": "mine", "symbols": [], "port": 0, **wrong})
