"""JSON from outside, read safely: no doubled key, no number that is none, nothing nested without end.

Python's own reader takes the last of two keys and `NaN`, and ends with a `RecursionError` where brackets are nested.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from nightdesk_core.files.reader import InputError, as_text, read_bytes

DEEPEST = 64
"""How many lists and objects may lie within each other."""
LARGEST_BYTES = 2_000_000
"""Of a file, where its reader names no other bound: made of nothing but brackets, more would take over a second."""
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""One without its end reaches to the end of the text: nothing is looked at twice."""
_BRACKETS = re.compile(r"[\[\]{}]")
_SHOWN = 60


def read_json(path: Path, *, largest: int = LARGEST_BYTES) -> Any:
    """Return what a file of JSON holds. Raises `MissingInputError`, `InputError`."""
    return parse_json(read_bytes(path, largest=largest), source=str(path))


def parse_json(content: bytes | str, *, source: str, deepest: int = DEEPEST) -> Any:
    """Return what JSON text says. `source` is the file or sender that people know it by.

    Raises `InputError` where it is no JSON, is nested more than `deepest` deep, holds a key twice, a number that is not
    finite or has thousands of digits, or text that cannot be written again.
    """
    text = as_text(content, source=source) if isinstance(content, bytes) else content
    _refuse_depth(text, source, deepest)
    try:
        found = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(source, f"is not JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except UnicodeEncodeError:
        raise InputError(source, "is not JSON: half of a character (a lone surrogate) stands in a text") from None
    except ValueError as error:
        raise InputError(source, f"is not JSON: {error}") from None
    return found


def _refuse_depth(text: str, source: str, deepest: int) -> None:
    if text.count("[") + text.count("{") <= deepest:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > deepest:
            raise InputError(source, f"is nested more than {deepest} deep, and is not what belongs there: look at it")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:_SHOWN]!r} is there twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:_SHOWN]} is too large a number")
    return number


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"a number has {len(digits):,} digits") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no finite number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_int=_whole, parse_constant=_no_number)
