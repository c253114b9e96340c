"""YAML from outside: plain data within bounds, and nothing that is silently dropped."""

from __future__ import annotations

import time
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from nightdesk_core.files.reader import InputError
from nightdesk_core.files.yaml_text import DEEPEST, LARGEST_BYTES, MOST_VALUES, parse_yaml, read_yaml


def bomb(*, line: str) -> str:
    """Return a mapping in which each key stands for ten of the one before it."""
    letters = "abcdefghij"
    begun = "a: &a {x: 1}\n"
    return begun + "".join(
        line.format(here=here, ten=", ".join([f"*{before}"] * 10)) for before, here in pairwise(letters)
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("guard: {a: 1}\nguard: {b: 2}", "guard: is there twice (line 2)"),
        ("a:\n  b:\n    c: 1\n    'c': 2", "c: is there twice (line 4)"),
        ("[{1: a, 0x1: b}]", "0x1: is there twice (line 1)"),
        ("{yes: a, true: b}", "true: is there twice (line 1)"),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", "<<: is there twice (line 2)"),
        ("{[a]: 1}", "has a list or a mapping for a key (line 1)"),
        ("a: .inf", "holds a number that is not finite (line 1)"),
        ("a: -.INF", "holds a number that is not finite (line 1)"),
        ("a: .nan", "holds a number that is not finite (line 1)"),
        ("a: 1.0e+999", "holds a number that is not finite (line 1)"),
        ("a: !!float '1e999'", "holds a number that is not finite (line 1)"),
        ("a: " + "1" * 5_000, "holds a number of 5,000 characters (line 1)"),
        ("a: 1" + ":01" * 30_000, "holds a number of 90,001 characters (line 1)"),
        ("a:\n- 'x'\n- \"\\0\"", "holds a text with a NUL (line 3)"),
        ('a: "\\ud800"', "holds half of a character (a lone surrogate) (line 1)"),
        ("a: !!python/object/apply:os.system [x]", "has a tag that stands for no plain data (line 1)"),
        ("a: !!binary aGk=", "has a tag that stands for no plain data (line 1)"),
        ("a: !mine x", "has a tag that stands for no plain data (line 1)"),
        ("a: &a [*a]", "holds an alias of what it lies within (line 1)"),
        ("[" * 100_000, f"is nested more than {DEEPEST} deep (line 1)"),
        ("- " * 50_000, f"is nested more than {DEEPEST} deep (line 1)"),
        (bomb(line="{here}: &{here} [{ten}]\n"), f"expands to more than {MOST_VALUES:,} values (line 5)"),
        (bomb(line="{here}: &{here} {{<<: [{ten}]}}\n"), f"expands to more than {MOST_VALUES:,} values (line 5)"),
        ("[" + "1," * 50_000 + "]", f"expands to more than {MOST_VALUES:,} values (line 1)"),
        (" " * (LARGEST_BYTES + 1), f"holds more than {LARGEST_BYTES:,} characters, and is not what belongs there"),
        ("a: 2019-13-01", "is not YAML: a value is not what it says it is (ValueError)"),
        ("a: !!bool maybe", "is not YAML: a value is not what it says it is (KeyError)"),
        ("a: !!int ''", "is not YAML: a value is not what it says it is (IndexError)"),
        ("!!float _: 1", "is not YAML: a value is not what it says it is (IndexError)"),
        ("a: *secret", "is not YAML: found undefined alias (line 1)"),
        ("a: b: c", "is not YAML: mapping values are not allowed here (line 1)"),
        (
            "a: 1\n---\nb: 1",
            "is not YAML: expected a single document in the stream, but found another document (line 2)",
        ),
        ("a: \x07", "is not YAML: special characters are not allowed"),
    ],
)
def test_what_is_refused_says_why_and_where(text: str, reason: str) -> None:
    begun = time.process_time()
    with pytest.raises(InputError) as caught:
        parse_yaml(text, source="nightdesk.yml")
    assert str(caught.value) == f"nightdesk.yml: {reason}"
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [1, 0.5, yes, ~, x, 2019-05-01]", {"a": [1, 0.5, True, None, "x", date(2019, 5, 1)]}),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        (
            "a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*a, *b]}",
            {"a": {"x": 1}, "b": {"x": 2, "z": 3}, "c": {"x": 1, "z": 3}},
        ),
        ("a: &a [1]\nb: [*a, *a]", {"a": [1], "b": [[1], [1]]}),
        ("{1: a, '1': b, x: {1: c}}", {1: "a", "1": "b", "x": {1: "c"}}),
        ("a: !!str 1", {"a": "1"}),
    ],
)
def test_plain_data_is_read_with_anchors_and_merge_keys(text: str, value: object, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    assert read_yaml(tmp_path / "file") == value


def test_what_is_refused_quotes_no_value() -> None:
    for text in ("a: 'hunter2", "a: *hunter2", "a: !hunter2 x", "a: [&hunter2 x", "a: hunter2: x", "a: %hunter2"):
        with pytest.raises(InputError) as caught:
            parse_yaml(text, source="x")
        assert "hunter2" not in str(caught.value)
