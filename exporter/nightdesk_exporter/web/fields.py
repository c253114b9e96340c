"""Reads a YAML document key by key, and remembers everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Fields:
    """One section. A key that nobody asked for is a problem, as is a value of another type."""

    def __init__(self, values: Mapping[Any, Any], *, path: str = "") -> None:
        self._values = values
        self._path = path
        self._asked: set[Any] = set()
        self._found: list[str] = []
        self._sections: list[Fields] = []

    @property
    def given(self) -> bool:
        """Whether the section holds anything."""
        return bool(self._values)

    def names(self) -> list[str]:
        """Return the keys of a section whose keys are the user's own."""
        return [name for name in self._values if isinstance(name, str)]

    def section(self, key: str) -> Fields:
        """Return a section of this one; an empty one where it is not there."""
        value = self._value(key)
        if value is not None and not isinstance(value, Mapping):
            self.wrong(key, "must hold keys and values")
        section = Fields(value if isinstance(value, Mapping) else {}, path=self._name(key))
        self._sections.append(section)
        return section

    def text(self, key: str) -> str:
        """Return a text; empty where it is not there. A number counts: a duration may be 0."""
        value = self._value(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            self.wrong(key, "must be a text")
            return ""
        return value or ""

    def boolean(self, key: str, *, default: bool = True) -> bool:
        """Return true or false."""
        value = self._value(key)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, "must be true or false")
        return value if isinstance(value, bool) else default

    def integer(self, key: str) -> int:
        """Return a whole number; 0 where it is not there."""
        value = self._value(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            self.wrong(key, "must be a whole number")
            return 0
        return value or 0

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty where it is not there."""
        value = self._value(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            self.wrong(key, "must be a list of texts")
            return ()
        return tuple(value or ())

    def wrong(self, key: str, what: str) -> None:
        """Remember a problem; `key` is empty where it is the whole section's."""
        self._found.append(f"{self._name(key)}: {what}")

    def problems(self) -> list[str]:
        """Return all problems of this section and those in it, unknown keys among them."""
        unknown = [
            f"{self._name(key)}: is not a key that exists here" for key in self._values if key not in self._asked
        ]
        return [*self._found, *unknown, *(problem for section in self._sections for problem in section.problems())]

    def _value(self, key: str) -> Any:
        self._asked.add(key)
        return self._values.get(key)

    def _name(self, key: Any) -> str:
        return ".".join(str(part) for part in (self._path, key) if part != "")
