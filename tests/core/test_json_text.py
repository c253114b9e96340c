"""JSON from outside: what Python's own reader lets through is refused, and nothing takes long."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from nightdesk_core.files.json_text import DEEPEST, LARGEST_BYTES, parse_json, read_json
from nightdesk_core.files.reader import InputError

from tests.campaigns import SEED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON: Expecting value, line 1 column 1"),
        ('{"a": 1', "is not JSON: Expecting ',' delimiter, line 1 column 8"),
        ("[NaN]", "is not JSON: NaN is no finite number"),
        ("[-Infinity]", "is not JSON: -Infinity is no finite number"),
        ("[1e999]", "is not JSON: 1e999 is too large a number"),
        ("1" * 5_000, "is not JSON: a number has 5,000 digits"),
        ('{"a": 1, "a": 2}', "is not JSON: the key 'a' is there twice"),
        ('[{"b": {"a": 1, "\\u0061": 1}}]', "is not JSON: the key 'a' is there twice"),
        ('["\\ud800"]', "is not JSON: half of a character (a lone surrogate) stands in a text"),
        ('{"\\uDfff": 1}', "is not JSON: half of a character (a lone surrogate) stands in a text"),
        ("[" * 100_000, f"is nested more than {DEEPEST} deep, and is not what belongs there: look at it"),
        ('{"a":' * 100_000, f"is nested more than {DEEPEST} deep, and is not what belongs there: look at it"),
        (b"\xff", "is not UTF-8 (byte 0)"),
    ],
)
def test_what_is_refused_says_why(text: str | bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_json(text, source="the answer")
    assert str(caught.value) == f"the answer: {reason}"


@pytest.mark.parametrize("value", [None, 1.5, "x", '"[[[[' * 200, "\N{PILE OF POO}\\ud", [], {"a": [{}, [[]]]}, "\0"])
def test_what_is_json_comes_back_as_it_was(value: object, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(value))
    assert read_json(tmp_path / "file") == value
    assert parse_json(json.dumps([value] * 100), source="x") == [value] * 100


def test_nesting_is_counted_outside_of_texts_alone() -> None:
    deepest = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(deepest, source="x")
    with pytest.raises(InputError):
        parse_json(f"[{deepest}]", source="x")
    assert parse_json("[" + ", ".join(["[]"] * 1_000) + "]", source="x") == [[]] * 1_000
    assert parse_json(json.dumps('\\"[' * 1_000), source="x") == '\\"[' * 1_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * 4_000_000,
        '["' + '\\"' * 4_000_000,
        '"\\' * 4_000_000,
        "[" * 100 + '"' * 8_000_000,
        "[" * 99 + '"\\' * 10**6,
    ],
)
def test_nothing_takes_longer_than_its_length(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(InputError):
        parse_json(text, source="x")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("item", ["[]", "{}", '{"a":[]}', "1", '""'])
def test_a_file_of_nothing_but_brackets_is_read_within_a_second(item: str, tmp_path: Path) -> None:
    def of(length: int) -> str:
        return "[" + ",".join([item] * ((length - 2) // (len(item) + 1))) + "]"

    (tmp_path / "largest").write_text(of(LARGEST_BYTES))
    (tmp_path / "larger").write_text(of(16_000_000))
    begun = time.process_time()
    assert read_json(tmp_path / "largest")
    with pytest.raises(InputError, match="holds more than 2,000,000 bytes"):
        read_json(tmp_path / "larger")
    assert time.process_time() - begun < 2


def test_a_key_that_is_there_twice_among_very_many_is_found_as_soon() -> None:
    keys = [f'"{number}": 1' for number in range(300_000)]
    begun = time.process_time()
    with pytest.raises(InputError, match="there twice"):
        parse_json("{" + ", ".join([*keys, keys[-1]]) + "}", source="x")
    assert time.process_time() - begun < 2


def test_whatever_is_written_with_json_is_read_again() -> None:
    drawn = random.Random(SEED)

    def value(depth: int) -> object:
        kind = drawn.randrange(7 if depth else 4)
        if kind > 3:
            return (
                [value(depth - 1) for _ in range(drawn.randrange(4))]
                if kind > 4
                else {text(): value(depth - 1) for _ in range(drawn.randrange(4))}
            )
        return (None, drawn.random(), drawn.randrange(-(10**20), 10**20), text())[kind]

    def text() -> str:
        return "".join(drawn.choice('"\\[]{}:,ab\n\0é\N{PILE OF POO}') for _ in range(drawn.randrange(12)))

    for _ in range(500):
        made = value(6)
        for ascii_only in (True, False):
            assert parse_json(json.dumps(made, ensure_ascii=ascii_only), source="x") == made, f"seed {SEED}"
