"""The decision log: written once or twice, read once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nightdesk_core.clock import MarketTime
from nightdesk_trendbot.live.decision_log import DecisionLog, DecisionRecord

RECORD = DecisionRecord(
    time=MarketTime(3600),
    symbol="BTC/USDT:USDT",
    close=100.5,
    regime="trending_up",
    breakout=1,
    probability=0.41,
    threshold=0.33,
    guard="normal",
    size_share=1.0,
    leverage=0.8,
    late="",
    outcome="entered",
    model_version="v1",
)


def test_a_decision_comes_back_as_it_was_written(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    unknown = replace(RECORD, time=MarketTime(7200), probability=None, threshold=None, outcome="blocked_no_model")
    log.append(RECORD)
    log.append(unknown)
    assert log.read() == [RECORD, unknown]


def test_a_candle_decided_again_after_a_kill_counts_once(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append(RECORD)
    log.append(replace(RECORD, leverage=0.9))
    assert log.read() == [replace(RECORD, leverage=0.9)]


def test_a_line_that_a_crash_cut_off_hides_no_other(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.append(RECORD)
    log.append(replace(RECORD, time=MarketTime(7200)))
    content = log.path.read_bytes()
    log.path.write_bytes(content[:-20])
    assert log.read() == [RECORD]
    log.append(replace(RECORD, time=MarketTime(7200)))
    log.append(replace(RECORD, time=MarketTime(10_800)))
    assert [record.time.seconds for record in log.read()] == [3600, 7200, 10_800]


def test_symbol_and_time_narrow_what_is_read(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    for time in (3600, 7200):
        for symbol in ("BTC/USDT:USDT", "EUR/USD:USD"):
            log.append(replace(RECORD, time=MarketTime(time), symbol=symbol))
    assert [record.time.seconds for record in log.read(symbol="EUR/USD:USD")] == [3600, 7200]
    assert [record.symbol for record in log.read(since=MarketTime(7200))] == ["BTC/USDT:USDT", "EUR/USD:USD"]
    assert DecisionLog(tmp_path / "none.jsonl").read() == []
