"""Records as they are stored: what is written is read again, and nothing else is taken for it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.files import stored
from nightdesk_core.files.reader import MissingInputError
from nightdesk_core.files.stored import StoredError

SOURCE = "desk.json"


class Light(StrEnum):
    GREEN = "green"
    RED = "red"


class Order(NamedTuple):
    side: int
    notional: float


class Account(NamedTuple):
    realised: float
    waiting: bool
    order: Order


@dataclass(frozen=True)
class Book:
    account: Account
    mark: float = 0.0
    guard: Literal["normal", "reduced"] = "normal"


@dataclass(frozen=True)
class Desk:
    books: Mapping[str, Book]
    light: Light
    wins: tuple[bool, ...] = ()
    best: tuple[str, float] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    shadow: Desk | None = None


def text(**changes: str) -> str:
    """Return a stored desk, with parts of its text replaced."""
    written = json.dumps(stored.plain(Desk({"BTC": Book(Account(1.5, False, Order(1, 20.0)), 3.5)}, Light.RED)))
    for before, after in changes.items():
        assert before in written
        written = written.replace(before, after)
    return written


numbers = st.floats(allow_nan=False, allow_infinity=False)
books = st.builds(
    Book,
    st.builds(Account, numbers, st.booleans(), st.builds(Order, st.integers(-1, 1), numbers)),
    numbers,
    st.sampled_from(["normal", "reduced"]),
)
desks: st.SearchStrategy[Desk] = st.deferred(
    lambda: st.builds(
        Desk,
        st.dictionaries(st.text(), books, max_size=3),
        st.sampled_from(Light),
        st.lists(st.booleans(), max_size=3).map(tuple),
        st.none() | st.tuples(st.text(), numbers),
        st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-5, 5) | numbers | st.text(), max_size=3),
        st.none() | desks,
    )
)


@given(desks)
def test_what_is_written_is_read_again_to_the_last_bit_and_kind(desk: Desk) -> None:
    plain = stored.plain(desk)
    assert stored.from_plain(Desk, plain, source=SOURCE) == desk
    assert repr(stored.from_json(Desk, json.dumps(plain), source=SOURCE)) == repr(desk)


def test_a_record_is_written_field_by_field_and_a_named_tuple_as_a_list() -> None:
    desk = Desk({"BTC": Book(Account(1.5, False, Order(1, 20.0)))}, Light.RED, (True,), ("a", 0.5))
    assert json.dumps(stored.plain(desk)) == (
        '{"books": {"BTC": {"account": [1.5, false, [1, 20.0]], "mark": 0.0, "guard": "normal"}}, "light": "red", '
        '"wins": [true], "best": ["a", 0.5], "notes": {}, "shadow": null}'
    )


def test_a_key_that_is_missing_takes_its_default() -> None:
    assert stored.from_json(Desk, '{"books": {}, "light": "green"}', source=SOURCE) == Desk({}, Light.GREEN)


def test_a_whole_number_stands_for_a_broken_one_and_becomes_one() -> None:
    read = stored.from_json(Desk, text(**{"3.5": "3"}), source=SOURCE)
    assert repr(read.books["BTC"].mark) == "3.0"


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('"light": "red", ', "", "light: is missing"),
        ('"light"', '"colour": "blue", "light"', "colour: is not a key that exists here"),
        ('"red"', '"amber"', "light: Input should be 'green' or 'red'"),
        ('"normal"', '"odd"', "books.BTC.guard: Input should be 'normal' or 'reduced'"),
        ("3.5", "NaN", "books.BTC.mark: Input should be a finite number"),
        ("3.5", "1e999", "books.BTC.mark: Input should be a finite number"),
        ("3.5", '"3.5"', "books.BTC.mark: Input should be a valid number"),
        ("3.5", "true", "books.BTC.mark: Input should be a valid number"),
        ("false", "0", "books.BTC.account.1: Input should be a valid boolean"),
        ("[1, 20.0]", "[1.0, 20.0]", "books.BTC.account.2.0: Input should be a valid integer"),
        ("[1, 20.0]", "[1]", "books.BTC.account.2.1: is missing"),
        ('"wins": []', '"wins": {}', "wins: Input should be a valid array"),
        ('"shadow": null', '"shadow": {"books": {}}', "shadow.light: is missing"),
    ],
)
def test_anything_else_is_refused_with_the_key_that_is_wrong(before: str, after: str, problem: str) -> None:
    with pytest.raises(StoredError) as caught:
        stored.from_json(Desk, text(**{before: after}), source=SOURCE)
    assert str(caught.value) == f"{SOURCE}: {problem}"
    assert (caught.value.problems, caught.value.reason) == ((problem,), problem)


@pytest.mark.parametrize("content", ["", "null", "[]", "{", '{"books": {}} {}', b"\xff", "[" * 100_000])
def test_text_that_holds_no_record_at_all_is_refused(content: str | bytes) -> None:
    with pytest.raises(StoredError, match=r"^desk.json: "):
        stored.from_json(Desk, content, source=SOURCE)


def test_all_problems_of_a_record_are_told_at_once() -> None:
    with pytest.raises(StoredError) as caught:
        stored.from_json(Desk, '{"books": 1, "wins": [1]}', source=SOURCE)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["books", "light", "wins.0"]


def test_what_could_not_be_read_again_is_not_written() -> None:
    light: Any = "purple"
    with pytest.raises(ValueError, match="Expected `enum`"):
        stored.plain(Desk({}, light))
    mark: Any = "3.5"
    with pytest.raises(ValueError, match="Expected `float`"):
        stored.plain(Book(Account(0.0, False, Order(0, 0.0)), mark))


def test_an_infinite_number_reaches_the_writer_which_refuses_it() -> None:
    plain = stored.plain(Book(Account(math.inf, False, Order(0, 0.0))))
    with pytest.raises(ValueError, match="not JSON compliant"):
        json.dumps(plain, allow_nan=False)


def test_a_file_is_read_and_named_where_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / SOURCE
    path.write_text(text())
    assert stored.read(Desk, path).light is Light.RED
    path.write_text("{}")
    with pytest.raises(StoredError, match=r"desk.json: books: is missing; light: is missing$"):
        stored.read(Desk, path)
    path.unlink()
    with pytest.raises(MissingInputError):
        stored.read(Desk, path)


def test_a_collection_of_records_is_read_whole() -> None:
    assert stored.from_json(tuple[Order, ...], "[[1, 2.0], [-1, 3.0]]", source=SOURCE) == (
        Order(1, 2.0),
        Order(-1, 3.0),
    )


def test_pydantic_is_loaded_by_the_first_record_and_not_by_the_import() -> None:
    program = "import sys, nightdesk_core.files.stored; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
