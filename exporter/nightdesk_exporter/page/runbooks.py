"""The runbooks of the alerts: they lie beside the rules, in the checkout or among the installed desk's files."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.files.reader import MissingInputError, read_text

_HERE = Path(__file__).resolve()
_PLACES = (_HERE.parents[2] / "nightdesk" / "assets", _HERE.parents[3])


def runbook(path: str) -> str | None:
    """Return the text of a runbook, by its path from the checkout; `None` where this installation lacks it.

    Raises `InputError` where it cannot be read.
    """
    for place in _PLACES:
        try:
            return read_text(place / path)
        except MissingInputError:
            continue
    return None
