"""Files of candles are looked at by `nightdesk check`, and by `nightdesk run` before it fetches anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk.check.candles import check_candles
from nightdesk.check.setup import check
from nightdesk.settings import Settings
from nightdesk.stack import running
from nightdesk_sandbox.errors import CandlesError

from tests.desk.conftest import Load
from tests.sandbox.conftest import make_candles, write_csv


@pytest.fixture
def with_file(settings_with: Load, settings_file: Path) -> Settings:
    """Settings that name a file in their home which is not there yet."""
    return settings_with("sandbox.candles=mine.csv")


def test_the_check_says_what_a_file_holds_and_how_it_was_read(with_file: Settings) -> None:
    write_csv(make_candles(120, missing=(100,)), with_file.home / "mine.csv")
    assert check_candles(with_file) == (
        "BTCUSDT: 119 candles from 2017-07-14T02:00:00Z to 2017-07-19T01:00:00Z; warning: hours missing: 1, 1 of "
        "them from 2017-07-18T06:00:00Z on"
    )


def test_the_check_finds_what_is_wrong_with_a_file(with_file: Settings, settings_file: Path) -> None:
    path = with_file.home / "mine.csv"
    path.write_text("time,open,high,low,close,volume\n0,1,1,1,1,1\n3600,1,x,1,1,1\n")
    results = {found.subject: found for found in check(with_file, settings_file=settings_file, offline=True)}
    assert results["the candles"].trouble == f"{path}: row 3, column high is 'x', not a number"


def test_without_a_file_or_without_the_sandbox_there_is_nothing_to_look_at(settings_with: Load) -> None:
    assert check_candles(settings_with()) == "the samples"
    assert check_candles(settings_with("sandbox.enabled=false", "sandbox.candles=gone.csv")) == "the exchange's"


def test_a_run_refuses_a_file_before_it_fetches_anything(
    with_file: Settings, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "ensure_tools", lambda *_, **__: pytest.fail("the servers were fetched"))
    with (
        pytest.raises(CandlesError, match=r"mine\.csv: cannot be read"),
        running.running_stack(with_file, settings_file=settings_file, overrides=[], fresh=False, say=print),
    ):
        pass


def test_a_run_says_how_it_read_a_file(
    with_file: Settings, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(make_candles(120), with_file.home / "mine.csv")
    said: list[str] = []

    class FetchedError(Exception):
        pass

    def fetch(*_: object, **__: object) -> None:
        raise FetchedError

    monkeypatch.setattr(running, "ensure_tools", fetch)
    with (
        pytest.raises(FetchedError),
        running.running_stack(with_file, settings_file=settings_file, overrides=[], fresh=False, say=said.append),
    ):
        pass
    assert said == ["BTCUSDT: 120 candles from 2017-07-14T02:00:00Z to 2017-07-19T01:00:00Z"]
