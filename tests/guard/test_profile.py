"""`guard.json`: what a bundle says to the guard, and what becomes of one that is damaged."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.models.bundle import BundleError
from nightdesk_guard import profile
from nightdesk_guard.calibration import calibrate
from nightdesk_guard.limits import documented_limits
from nightdesk_guard.profile import FILE_NAME, GuardProfile
from nightdesk_guard.settings import GuardSettings

from tests.guard.simulations import BREAK_EVEN, hold_out

SETTINGS = GuardSettings()
WRITTEN = documented_limits(SETTINGS, break_even_win_rate=BREAK_EVEN)


@cache
def made(trades: int) -> GuardProfile:
    return calibrate(hold_out(win_rate=0.5, trades=trades, days=120, seed=4), SETTINGS, documented=WRITTEN)


@pytest.mark.parametrize("trades", [0, 20, 60])
def test_a_profile_is_read_back_as_it_was_stored(trades: int, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(made(trades).to_json())
    found = profile.read(tmp_path)
    assert found == made(trades)
    assert found is not None
    assert found.calibrated == (made(60).limits if trades == 60 else None)
    assert found.expected is None or list(found.expected.drawdowns) == [7, 14, 30, 60, 90]


def test_a_bundle_that_was_made_without_one_has_none(tmp_path: Path) -> None:
    assert profile.read(tmp_path) is None


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("limits", "source"), "guessed", "limits.source: Input should be 'documented' or 'calibrated'"),
        (("limits", "paused", "drawdown"), "deep", "limits.paused.drawdown: Input should be a valid number"),
        (("limits", "promise"), {}, "limits.promise.win_rate: Field required"),
        (("limits", "promise", "win_rate"), 1.0, "limits.promise.win_rate: 1 does not lie between 0 and 1"),
        (("limits", "promise", "deviation_r"), 0.0, "limits.promise: its mean or deviation is none of any trades"),
        (("limits", "promise", "mean_r"), 1e308, "limits.promise: its mean or deviation is none of any trades"),
        (("expected", "win_rate_bound"), 1.0, "expected.win_rate_bound: 1 does not lie between 0 and 1"),
        (("expected", "win_rate_bound"), None, "expected.win_rate_bound: Input should be a valid number"),
        (("expected", "drawdowns"), {"week": 0.1}, "expected.drawdowns.week"),
        (("measured", "calibrated", "fewer_wins"), 3, "measured.calibrated.fewer_wins"),
    ],
)
def test_what_is_damaged_is_named_by_file_and_key(
    path: tuple[str, ...], value: Any, reason: str, tmp_path: Path
) -> None:
    content = json.loads(made(60).to_json())
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(BundleError) as raised:
        profile.read(tmp_path)
    assert raised.value.reason.startswith(f"guard.json is damaged ({reason}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_what_is_no_profile_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(BundleError, match=r"guard\.json is damaged \("):
        profile.read(tmp_path)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(BundleError, match=r"guard\.json is a folder where a file must be"):
        profile.read(tmp_path)
