"""What the guard knows of one model: the file `guard.json` in its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nightdesk_core.files.json_text import LARGEST_BYTES, parse_json
from nightdesk_core.files.reader import InputError, MissingInputError, read_bytes
from nightdesk_core.models.bundle import BundleError
from pydantic import TypeAdapter, ValidationError

from nightdesk_guard.expectation import Expected
from nightdesk_guard.limits import GuardLimits

FILE_NAME = "guard.json"
_SMALLEST_R, _LARGEST_R = 1e-6, 1e6


@dataclass(frozen=True)
class Delay:
    """How many trades it takes, as a median from a fresh start, until something is caught."""

    paused: int | None
    """By PAUSED; `None` where that takes more trades than were simulated."""
    reduced: int | None
    """By REDUCED or PAUSED."""
    simulated: int
    """Trades on a simulated path, the median."""


@dataclass(frozen=True)
class Measured:
    """What one set of limits does to the hold-out, resampled. Rates are those of all rules together, in a year."""

    false_pauses_a_year: float
    """Of a model that is as good as promised, the win rate shrunk for selection."""
    false_pauses_standard_error: float
    """Of the simulation; that the hold-out is short comes on top."""
    false_reductions_a_year: float
    false_reductions_standard_error: float
    fewer_wins: Delay
    """A win rate down by a third."""
    no_expectancy: Delay | None
    """A mean R of 0; `None` where the hold-out, shrunk, promises no more."""


@dataclass(frozen=True)
class GuardProfile:
    """What a hold-out says of its model, for the guard and for live against expected."""

    limits: GuardLimits
    expected: Expected | None
    """`None` where the hold-out holds no trade."""
    note: str = ""
    """Why documented limits hold, or what bounds the calibrated ones; may be empty."""
    measured: Mapping[Literal["documented", "calibrated"], Measured] | None = None
    """By where the limits come from; `None` where the hold-out is too short to measure any."""

    @property
    def calibrated(self) -> GuardLimits | None:
        """The limits that the hold-out calls for, `None` where it is too short to call for any."""
        return self.limits if self.limits.source == "calibrated" else None

    def to_json(self) -> bytes:
        """Return the profile as it stands in the file."""
        return _ADAPTER.dump_json(self, indent=1) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> GuardProfile:
        """Return the profile that `to_json` wrote. Raises `ValueError` naming the key that is missing or wrong."""
        try:
            parse_json(content, source=FILE_NAME)
            found = _ADAPTER.validate_json(content)
        except InputError as error:
            raise ValueError(error.reason) from None
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{key}: {first['msg']}" if key else first["msg"]) from error
        if unusable := _unusable(found):
            raise ValueError(unusable)
        return found


def _unusable(found: GuardProfile) -> str:
    """Return which number no trade can be held against, empty where all can: it would end the bot at a trade."""
    promise, expected = found.limits.promise, found.expected
    if promise is not None:
        if not 0 < promise.win_rate < 1:
            return f"limits.promise.win_rate: {promise.win_rate:g} does not lie between 0 and 1"
        if not _SMALLEST_R <= promise.deviation_r <= _LARGEST_R or not abs(promise.mean_r) <= _LARGEST_R:
            return "limits.promise: its mean or deviation is none of any trades"
    if expected is not None and not 0 <= expected.win_rate_bound < 1:
        return f"expected.win_rate_bound: {expected.win_rate_bound:g} does not lie between 0 and 1"
    return ""


_ADAPTER = TypeAdapter(GuardProfile)


def read(folder: Path | str) -> GuardProfile | None:
    """Return the profile in a bundle's folder, `None` for a bundle that was made without one.

    Raises `BundleError` where it cannot be read or is damaged.
    """
    folder = Path(folder)
    try:
        return GuardProfile.from_json(read_bytes(folder / FILE_NAME, largest=LARGEST_BYTES))
    except MissingInputError:
        return None
    except InputError as error:
        raise BundleError(folder, f"{FILE_NAME} {error.reason}") from error
    except ValueError as error:
        raise BundleError(folder, f"{FILE_NAME} is damaged ({error})") from error
