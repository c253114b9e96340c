"""YAML from outside, read safely: the data that settings are made of, and nothing that grows, runs or hides.

Loaded only where there is YAML to read: importing a room costs none of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, cast

import yaml

from nightdesk_core.files.reader import InputError, read_text

DEEPEST = 32
"""How many lists and mappings may lie within each other."""
LARGEST_BYTES = 200_000
MOST_VALUES = 20_000
"""Each alias counts as all that it stands for."""
_LONGEST_NUMBER = 100
_NAME = re.compile(r"(?:<<|[A-Za-z0-9_]{1,60})(?=[:=\s]|\Z)")
_PREFIX = "tag:yaml.org,2002:"
_TAGS = {_PREFIX + name for name in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map", "merge")}


class _RefusedError(yaml.YAMLError):
    """`reason` quotes nothing of the text, which may hold secrets, but keys."""

    def __init__(self, node_or_event: yaml.Node | yaml.Event, reason: str) -> None:
        self.problem_mark = node_or_event.start_mark
        super().__init__(reason)


def read_yaml(path: Path) -> Any:
    """Return what a file of YAML holds. Raises `MissingInputError`, `InputError`."""
    return parse_yaml(read_text(path, largest=LARGEST_BYTES), source=str(path))


def parse_yaml(text: str, *, source: str) -> Any:
    """Return what YAML text says, `None` where it is empty. `source` is the file or setting that people know it by.

    Anchors, aliases and merge keys are followed. Raises `InputError` with the line where it is no YAML, is larger,
    nested deeper or expands to more than the bounds of this module, holds a key twice in one mapping, a number that is
    not finite, a NUL, or a tag of anything but plain data. What it quotes are keys, no values: these may be secret.
    """
    if len(text) > LARGEST_BYTES:
        raise InputError(source, f"holds more than {LARGEST_BYTES:,} characters, and is not what belongs there")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" (line {mark.line + 1})"
        reason = str(error) if isinstance(error, _RefusedError) else f"is not YAML{_problem(error)}"
        raise InputError(source, reason + place) from None
    except (ValueError, OverflowError, RecursionError, TypeError, AttributeError, LookupError) as error:
        # The library's own constructors raise these at values such as `!!int x`, `!!bool x` or a date of month 13.
        raise InputError(source, f"is not YAML: a value is not what it says it is ({type(error).__name__})") from None


def shown_key(key: object) -> str:
    """Return a key as a message may name it: what does not look like a name may be a secret in the wrong place.

    In `password:hunter2` the space was forgotten: what follows the colon is a value.
    """
    said = str(key)
    name = _NAME.match(said)
    return said if name is not None and name.end() == len(said) else f"{'' if name is None else name[0]}…"


def _problem(error: yaml.YAMLError) -> str:
    """Return the library's own words. Where they could quote more than a character or a token, they end there."""
    said = ", ".join(part for name in ("context", "problem", "reason") if (part := getattr(error, name, None)))
    if not isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError) or "handle" in said:
        said = said.partition("'")[0].strip(" ,")
    return f": {said}" if said else ""


class _Loader(yaml.SafeLoader):
    """Counts what it composes, before anything is made of it."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}
        """How many values each node stands for, by its identity; a node that is still being composed is not in it."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node within the bounds; an alias counts as what it stands for."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # its stub has none
        if self._depth >= DEEPEST:
            raise _RefusedError(event, f"is nested more than {DEEPEST} deep")
        before, self._depth = self._values, self._depth + 1
        node = cast("yaml.Node", super().compose_node(parent, index))
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _RefusedError(event, "holds an alias of what it lies within")
            self._values += self._sizes[id(node)]
        else:
            self._values += 1
            self._sizes[id(node)] = self._values - before
        if self._values > MOST_VALUES:
            raise _RefusedError(event, f"expands to more than {MOST_VALUES:,} values")
        if node.tag not in _TAGS:
            raise _RefusedError(event, "has a tag that stands for no plain data")
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Compose a value that can be a setting."""
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if "\0" in node.value:
            raise _RefusedError(node, "holds a text with a NUL")
        try:
            node.value.encode()
        except UnicodeEncodeError:
            raise _RefusedError(node, "holds half of a character (a lone surrogate)") from None
        if node.tag in (_PREFIX + "int", _PREFIX + "float"):
            if len(node.value) > _LONGEST_NUMBER:
                raise _RefusedError(node, f"holds a number of {len(node.value):,} characters")
            if not math.isfinite(self.construct_object(node)):
                raise _RefusedError(node, "holds a number that is not finite")
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping in which no key is there twice: the first would be dropped silently."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _RefusedError(key, "has a list or a mapping for a key")
            said = "<<" if key.tag == _PREFIX + "merge" else self.construct_object(key)
            if said in seen:
                raise _RefusedError(key, f"{shown_key(key.value)}: is there twice")
            seen.add(said)
        return node
