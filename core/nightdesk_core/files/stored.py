"""State that is stored as JSON between two runs: how a record is written, and how strictly it is read again.

A record is a frozen dataclass, or holds such: nested, optional, by name in a mapping, in tuples, beside named tuples
(stored as lists), enumerations and literals. Its fields and their types are the format; there is no other description.
pydantic's `TypeAdapter` does the work. It is loaded at the first record, so that importing a room costs no pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nightdesk_core.files.json_text import LARGEST_BYTES, parse_json
from nightdesk_core.files.reader import InputError, read_bytes

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


class StoredError(InputError):
    """What is stored is no such record: `problems` says for each key that is wrong what is wrong with it."""

    def __init__(self, source: str, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__(source, "; ".join(problems))


def plain(record: object) -> Any:
    """Return a record as JSON has it: dicts in the order of the fields, lists, texts, numbers, `None`.

    Raises `ValueError` where a field holds what its type does not allow: it could not be read again. An infinite number
    and NaN stay, for whoever writes the text to refuse.
    """
    return _adapter(type(record)).dump_python(record, mode="json", warnings="error")


def from_plain(kind: type[T], value: object, *, source: str, complete: bool = False) -> T:
    """Return the record of a kind that `plain` returned. `source` is how people know where it lies.

    Raises `StoredError` for an unknown key, a missing one that has no default, a number that is not finite, and a value
    of another kind: a whole number stands for a broken one and a list for a tuple, nothing else for anything else. With
    `complete` a missing key is refused though it has a default, wherever in the record: for what must not be forgotten.
    """
    found = _record(kind, json.dumps(value), source)
    if complete and (missing := [f"{key}: is missing" for key in _missing(plain(found), value)]):
        raise StoredError(source, tuple(missing))
    return found


def from_json(kind: type[T], content: bytes | str, *, source: str) -> T:
    """Return the record of a kind that JSON text holds.

    `kind` may also be a collection of records, such as `tuple[Champion, ...]`. Raises `StoredError` as `from_plain`,
    and as `parse_json` does where it is no JSON.
    """
    found = _record(kind, content, source)
    try:
        parse_json(content, source=source)  # pydantic's reader names keys that are wrong, and takes a doubled one
    except InputError as error:
        raise StoredError(source, (error.reason,)) from None
    return found


def _record(kind: type[T], content: bytes | str, source: str) -> T:
    from pydantic import ValidationError

    try:
        found: T | None = _adapter(kind).validate_json(content)
    except ValidationError as error:
        problems = [_problem(item["loc"], item["type"], item["msg"]) for item in error.errors(include_url=False)]
        raise StoredError(source, tuple(problems)) from None
    if found is None:
        raise StoredError(source, ("holds null",))
    return found


def read(kind: type[T], path: Path, *, largest: int = LARGEST_BYTES) -> T:
    """Return the record of a kind that a file holds.

    Raises `InputError` that names the file: `MissingInputError` where there is none, `StoredError` for what it holds.
    """
    return from_json(kind, read_bytes(path, largest=largest), source=str(path))


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _made(kind)


@cache
def _made(kind: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    strictly = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants", hide_input_in_errors=True
    )
    # A dataclass by itself takes no configuration from outside, one that may be absent does.
    return TypeAdapter(kind | None, config=strictly)


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(str(part) for part in place)
    words = {"missing": "is missing", "unexpected_keyword_argument": "is not a key that exists here"}
    said = words.get(kind, message.removeprefix("Value error, "))
    return f"{key}: {said}" if key else said


def _missing(whole: object, value: object, place: str = "") -> Iterator[str]:
    """Yield the keys that a value lacks of what a record is as a whole."""
    if isinstance(whole, dict) and isinstance(value, dict):
        for key, part in whole.items():
            if key in value:
                yield from _missing(part, value[key], f"{place}{key}.")
            else:
                yield f"{place}{key}"
    elif isinstance(whole, list) and isinstance(value, list):
        for index, (part, other) in enumerate(zip(whole, value, strict=True)):
            yield from _missing(part, other, f"{place}{index}.")
