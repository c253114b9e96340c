"""The form in which an engine's state is stored. What an earlier release stored is brought into the present one.

It takes no numbers, so that whoever wants to know only how the guard stands needs none either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def present_form(content: object) -> object:
    """Return what was stored in its present form; what is no state at all, as it is."""
    return _from_first(content) if isinstance(content, Mapping) and "evidence" in content else content


def _from_first(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the present form of the first, which had the guard's memory beside its state."""
    own = ("evidence", "model_since", "model_trades")
    kept = {key: value for key, value in content.items() if key not in (*own, "model_version")}
    shadow = content.get("shadow")
    memory = {"performance": content.get("guard"), **{key: content.get(key) for key in own}}
    return {**kept, "guard": memory, "shadow": _from_first(shadow) if isinstance(shadow, Mapping) else shadow}
