"""Good messages made into bad ones, each in one way, whatever the venue calls its fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from nightdesk_sandbox.update import GarbageKind


@dataclass(frozen=True)
class CandleLayout:
    """Where a venue's message holds the candle, and what it calls three of its fields.

    `path` leads through keys to the candle, or to a list of candles.
    """

    path: tuple[str, ...]
    start: str
    close: str
    volume: str


def _cut_off(message: dict[str, Any], layout: CandleLayout) -> str:
    text = json.dumps(message)
    return text[: len(text) // 2]


def _without_data(message: dict[str, Any], layout: CandleLayout) -> str:
    return _rewritten(message, layout, None)


def _without_fields(message: dict[str, Any], layout: CandleLayout) -> str:
    return _rewritten(message, layout, {layout.close: ..., layout.start: ...})


def _with_wrong_types(message: dict[str, Any], layout: CandleLayout) -> str:
    return _rewritten(message, layout, {layout.close: "n/a", layout.volume: None})


def _rewritten(message: dict[str, Any], layout: CandleLayout, changes: Mapping[str, Any] | None) -> str:
    """Return the message with its candle's fields changed, left out where a change is `...`; without it for `None`."""
    copy: dict[str, Any] = json.loads(json.dumps(message))
    *parents, last = layout.path
    holder: dict[str, Any] = reduce(lambda inner, key: inner[key], parents, copy)
    if changes is None:
        del holder[last]
        return json.dumps(copy)
    data = holder[last][0] if isinstance(holder[last], list) else holder[last]
    data.update(changes)
    for name in [name for name, value in data.items() if value is ...]:
        del data[name]
    return json.dumps(copy)


GARBLERS: dict[GarbageKind, Callable[[dict[str, Any], CandleLayout], str]] = {
    "text": _cut_off,
    "no_data": _without_data,
    "missing_fields": _without_fields,
    "wrong_types": _with_wrong_types,
}
