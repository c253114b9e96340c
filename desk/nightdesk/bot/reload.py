"""What of changed settings a running bot takes over, and what waits for its restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightdesk_core.settings import validate

from nightdesk.settings import Settings

SAFE = (
    "operations.limits",
    "guard",
    "trendbot.entry.threshold",
    "trendbot.entry.threshold_mode",
    "trendbot.entry.break_even_margin",
    "trendbot.barriers",
    "trendbot.portfolio",
    "trendbot.sizing.daily_volatility",
    "trendbot.sizing.leverage_cap",
    "trendbot.sizing.provisional_share",
    "trendbot.regime.enabled",
    "trendbot.regime.adx_threshold",
    "trendbot.regime.adx_release",
    "trendbot.regime.ema_band",
    "trendbot.regime.high_volatility_multiple",
    "trendbot.regime.high_volatility_release",
    "trendbot.regime.high_volatility_size",
)
"""Keys, and sections with all their keys, that change decisions or verdicts from the next candle on and nothing else.

An open position keeps the barriers of its entry. What the market's history, the account, or a connection was made with
is not among them.
"""


@dataclass(frozen=True)
class Reload:
    """The settings that are in force from now on, and the keys that were taken over or must wait for a restart."""

    settings: Settings
    taken: tuple[str, ...]
    waiting: tuple[str, ...]


def reloadable(key: str) -> bool:
    """Return whether a running bot may take over a change of a key, with dots."""
    return any(key == safe or key.startswith(f"{safe}.") for safe in SAFE)


def reload(before: Settings, after: Settings) -> Reload:
    """Return `before` with what of `after` is safe to take over.

    Raises `SettingsError` where the mixture of the two would not be valid.
    """
    old, new = dict(_leaves(before.model_dump())), dict(_leaves(after.model_dump()))
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    taken = [key for key in changed if reloadable(key)]
    document = before.model_dump()
    for key in taken:
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section[parent]
        section[last] = new[key]
    mixed = validate(Settings, document, source="the settings")
    return Reload(mixed, tuple(taken), tuple(key for key in changed if key not in taken))


def _leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        key = f"{path}{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value
