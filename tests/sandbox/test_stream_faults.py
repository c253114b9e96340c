"""What each fault of the stream makes of the same few candles, without any server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_sandbox.bybit.dialect import BybitDialect
from nightdesk_sandbox.dialect import word
from nightdesk_sandbox.faults import Faults, parse_fault
from nightdesk_sandbox.recordings.hourly_candles import HourlyCandles
from nightdesk_sandbox.update import Garbage, Message, Update

from tests.sandbox.conftest import FIRST_HOUR, make_candles

CANDLES = make_candles(12)
CHART = HourlyCandles(CANDLES, now=lambda: float(CANDLES.end))
FIRST_NUMBER = FIRST_HOUR // 3600
STEPS = {"open": 0.0, "update": 0.5, "close": 1.0}
BYBIT = BybitDialect({})
NAMES = ("gap", "duplicate", "out_of_order", "late", "revised", "silence")


@dataclass
class Bench:
    """An exchange's faults, with a clock that is set by hand."""

    now: float = 0.0
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Faults(clock=lambda: self.now)

    def start(self, name: str, *, seconds: float = 60, **parameters: Any) -> None:
        self.faults.start(parse_fault(json.dumps({"name": name, "seconds": seconds, **parameters}).encode()))

    def send(self, hours: Iterable[int], *, symbol: str = "BTCUSDT") -> list[Message]:
        """Return what subscribers are sent while these hours open, are updated and close."""
        sent: list[Message] = []
        for hour in hours:
            for fraction in STEPS.values():
                moment = FIRST_HOUR + (hour + fraction) * 3600
                sent += self.faults.relay(Update(symbol, CHART.update(hour, fraction), moment))
        return sent


def told(messages: Iterable[Message]) -> list[str]:
    """Return messages in short: `3 open`, `3 update`, `3 close`, with `wrong` where the numbers are not the truth."""
    words = []
    for message in messages:
        if isinstance(message, Garbage):
            words.append("garbage")
            continue
        hour = message.candle.time // 3600 - FIRST_NUMBER
        step = "close" if message.candle.confirmed else "open" if message.candle.volume == 0 else "update"
        right = message.candle in [CHART.update(hour, fraction) for fraction in STEPS.values()]
        words.append(f"{hour} {step}" + ("" if right else " wrong"))
    return words


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_without_a_fault_everything_is_sent_as_it_is(bench: Bench) -> None:
    assert told(bench.send([3, 4])) == ["3 open", "3 update", "3 close", "4 open", "4 update", "4 close"]


def test_a_gap_leaves_out_every_second_candle(bench: Bench) -> None:
    bench.start("gap")
    even = (FIRST_NUMBER + 3) % 2 == 0
    missing, there = (3, 4) if even else (4, 3)
    assert told(bench.send([3, 4])) == [f"{there} open", f"{there} update", f"{there} close"]
    assert missing != there


def test_a_gap_of_confirmations_leaves_the_rest(bench: Bench) -> None:
    bench.start("gap", every=1, what="confirmation")
    assert told(bench.send([3, 4])) == ["3 open", "3 update", "4 open", "4 update"]


def test_a_duplicate_comes_at_once_and_again_in_the_next_candle(bench: Bench) -> None:
    bench.start("duplicate")
    assert told(bench.send([3, 4])) == [
        *("3 open", "3 update", "3 close", "3 close"),
        *("4 open", "4 update", "3 close", "4 close", "4 close"),
    ]


def test_out_of_order_a_forming_candle_comes_again_after_the_next_one_opened(bench: Bench) -> None:
    bench.start("out_of_order")
    assert told(bench.send([3, 4])) == ["3 open", "3 update", "3 close", "4 open", "3 update", "4 update", "4 close"]


def test_a_late_confirmation_comes_in_the_next_candle(bench: Bench) -> None:
    bench.start("late")
    assert told(bench.send([3, 4])) == ["3 open", "3 update", "4 open", "4 update", "3 close"]


def test_a_confirmation_that_would_be_later_than_the_next_one_comes_before_it(bench: Bench) -> None:
    bench.start("late", updates=9)
    assert told(bench.send([3, 4, 5])) == [
        *("3 open", "3 update", "4 open", "4 update", "3 close", "5 open", "5 update", "4 close"),
    ]


@pytest.mark.parametrize("how", ["it ends", "it is cleared"])
def test_what_a_fault_holds_back_is_sent_when_it_is_over(how: str, bench: Bench) -> None:
    bench.start("late", seconds=10)
    bench.send([3])
    if how == "it ends":
        bench.now = 11
    else:
        bench.faults.clear()
    assert told(bench.send([4]))[:3] == ["3 close", "4 open", "4 update"]


def test_what_a_fault_holds_back_passes_through_the_one_that_takes_its_place(bench: Bench) -> None:
    bench.start("late")
    bench.send([3])
    bench.start("late")
    assert told(bench.send([4])) == ["4 open", "4 update", "3 close"]


def test_a_revised_candle_was_last_seen_wrong_and_the_one_before_is_sent_again(bench: Bench) -> None:
    bench.start("revised")
    assert told(bench.send([3, 4])) == [
        *("3 open", "3 update", "3 update wrong", "3 close"),
        *("4 open", "4 update", "4 update wrong", "4 close", "3 close"),
    ]


def test_a_wrong_confirmation_is_put_right_a_candle_later(bench: Bench) -> None:
    bench.start("revised", what="confirmation", change=0.01)
    messages = bench.send([3, 4])
    assert told(messages) == ["3 open", "3 update", "3 close wrong", "4 open", "4 update", "4 close wrong", "3 close"]
    wrong = messages[2]
    assert isinstance(wrong, Update)
    assert wrong.candle.close == round(float(CANDLES.close[3]) * 1.01, 2)
    assert wrong.candle.low <= wrong.candle.close <= wrong.candle.high


def test_bad_messages_come_between_the_good_ones_each_kind_in_turn(bench: Bench) -> None:
    bench.start("malformed")
    messages = bench.send([3, 4])
    assert told(messages[::2]) == told(Bench().send([3, 4]))
    cut_off, no_data, missing, wrong_types, again, _ = (word(message, BYBIT) for message in messages[1::2])
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut_off)
    with pytest.raises(json.JSONDecodeError):
        json.loads(again)
    assert "data" not in json.loads(no_data)
    assert not {"start", "close"} & set(json.loads(missing)["data"][0])
    assert json.loads(wrong_types)["data"][0]["close"] == "n/a"


def test_one_kind_of_bad_message_can_be_chosen(bench: Bench) -> None:
    bench.start("malformed", kind="no_data")
    assert all("data" not in json.loads(word(message, BYBIT)) for message in bench.send([3, 4])[1::2])


def test_a_wrong_clock_stamps_the_messages_and_leaves_the_candles(bench: Bench) -> None:
    bench.start("clock_offset", offset_seconds=-90)
    [message, *_] = bench.send([3])
    document = json.loads(word(message, BYBIT))
    [data] = document["data"]
    start = (FIRST_HOUR + 3 * 3600) * 1000
    assert (document["ts"], data["timestamp"], data["start"]) == (start - 90_000, start - 90_000, start)


def test_two_faults_at_once_both_hold(bench: Bench) -> None:
    bench.start("duplicate")
    bench.start("late")
    assert told(bench.send([3, 4, 5]))[:8] == [
        *("3 open", "3 update", "4 open", "4 update", "3 close", "3 close", "5 open", "5 update"),
    ]


def test_a_fault_remembers_each_topic_for_itself(bench: Bench) -> None:
    bench.start("late")
    bench.send([3])
    assert told(bench.send([4], symbol="EURUSDT")) == ["4 open", "4 update"]
    assert told(bench.send([4])) == ["4 open", "4 update", "3 close"]


@given(
    names=st.lists(st.sampled_from(NAMES), max_size=5),
    lengths=st.lists(st.integers(1, 4), min_size=5, max_size=5),
)
def test_after_any_faults_everything_is_as_before(names: list[str], lengths: list[int]) -> None:
    bench = Bench()
    for name, length in zip(names, lengths, strict=False):
        bench.start(name, seconds=length)
        bench.send([3, 4])
        bench.now += 1
    bench.now += 10
    bench.send([5])
    assert told(bench.send([6, 7])) == told(Bench().send([6, 7]))
    assert bench.faults.remaining_seconds() == {}
