"""The store is brought up to date: only what is missing is fetched, and nothing is lost whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightdesk_core.clock import WallTime
from nightdesk_core.files import durable as files
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.candle_store import collect, store
from nightdesk_trendbot.candle_store.collect import Collected, Refresh
from nightdesk_trendbot.candle_store.store import StoreFile

from tests.killing import killed_at
from tests.trendbot.conftest import HOUR
from tests.trendbot.history import PAGE, SERIES, Told


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    return store_in(tmp_path)


@pytest.fixture(autouse=True)
def _commits_every_other_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "_PAGES_A_COMMIT", 2)


def store_in(folder: Path) -> StoreFile:
    return StoreFile(
        folder, source="x", symbol="S", series="1h", columns=SERIES.columns, clock=lambda: WallTime(1_571_302_800.0)
    )


def refresh(file: StoreFile, told: Told, start: int, stop: int) -> Collected:
    """Bring the hours [start, stop) up to date, noting the requests that this takes anew."""
    told.requests.clear()
    return asyncio.run(Refresh(file, SERIES, told.pages, lambda _: None).run(start * HOUR, stop * HOUR))


def content(collected: Collected) -> dict[int, tuple[float, float]]:
    rows = collected.rows
    return {int(time) // HOUR: (price, volume) for time, (price, volume) in zip(rows.time, rows.values, strict=True)}


def hours(times: list[int]) -> list[int]:
    return [time // HOUR for time in times]


def test_only_what_is_missing_is_asked_for_and_a_short_overlap(file: StoreFile) -> None:
    told = Told(range(200))
    assert content(refresh(file, told, 0, 35)) == {hour: told.rows[hour] for hour in range(35)}
    assert told.requests == [(0, 10), (10, 20), (20, 30), (30, 35)]
    done = refresh(file, told, 12, 47)
    assert told.requests == [(31, 35), (35, 45), (45, 47)]
    assert content(done) == {hour: told.rows[hour] for hour in range(12, 47)}
    assert (done.stored, done.fetched, done.revised, done.repaired, done.notes) == (23, 16, [], [], [])
    # Nothing is new, and even then the store is not believed blindly.
    refresh(file, told, 12, 47)
    assert told.requests == [(43, 47)]


def test_a_candle_that_formed_under_a_clock_days_ahead_is_asked_for_again(file: StoreFile) -> None:
    told = Told(range(31))
    final, told.rows[30] = told.rows[30], (30.1, 0.1)
    refresh(file, told, 0, 80)
    told = Told(range(100))
    assert told.rows[30] == final
    done = refresh(file, told, 0, 100)
    assert hours(done.revised) == [30]
    assert content(done) == told.rows


def test_a_longer_history_than_before_is_fetched_in_front_of_what_there_is(file: StoreFile) -> None:
    told = Told(range(100))
    refresh(file, told, 40, 60)
    done = refresh(file, told, 15, 60)
    assert told.requests == [(56, 60), (15, 25), (25, 35), (35, 40)]
    assert content(done) == {hour: told.rows[hour] for hour in range(15, 60)}


def test_an_exchange_that_fails_midway_costs_what_came_after_and_nothing_before(file: StoreFile) -> None:
    told = Told(range(100))
    told.fails_after = 5
    with pytest.raises(DataError, match="the exchange did not answer"):
        refresh(file, told, 0, 95)
    assert len(file.load()) == 5 * PAGE
    told.fails_after = None
    done = refresh(file, told, 0, 95)
    assert told.requests[:2] == [(46, 50), (50, 60)]
    assert (content(done), done.stored) == ({hour: told.rows[hour] for hour in range(95)}, 50)


def test_killed_at_any_moment_the_next_run_goes_on_where_this_one_was(file: StoreFile) -> None:
    told = Told(range(60))
    told.besides = [(7, -1.0, 0.0)]
    del told.rows[7]
    line, kept = 1, []
    while killed_at(line, (collect, store, files), lambda: refresh(file, told, 0, 55)):
        before = file.load()
        kept.append(len(before))
        done = refresh(file, told, 0, 55)
        assert content(done) == {hour: row for hour, row in told.rows.items() if hour < 55}
        assert hours(done.rejected.time.tolist()) == [7]
        # Nothing that was kept was asked for again, but for the overlap and the row that cannot be.
        asked = sum(until - since for since, until in told.requests)
        assert asked <= 55 - len(before) + 4 + 2
        file.path.unlink()
        line += 37
    assert kept == sorted(kept)
    assert {0, 2 * PAGE - 1, 4 * PAGE - 1} <= set(kept)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_sequence_of_runs_and_failures_gives_what_one_whole_run_gives(data: st.DataObject) -> None:
    present = data.draw(st.sets(st.integers(0, 79), min_size=1))
    with TemporaryDirectory() as folder:
        file, told = store_in(Path(folder) / "many"), Told(sorted(present))
        stop = 0
        for _ in range(data.draw(st.integers(0, 4))):
            stop = data.draw(st.integers(stop, 80))
            start = data.draw(st.integers(0, stop))
            told.fails_after = data.draw(st.none() | st.integers(0, 5))
            told.hidden_once = data.draw(st.sets(st.sampled_from(sorted(present)), max_size=3))
            try:
                refresh(file, told, start, stop)
            except DataError:
                assert told.fails_after is not None
            told.hidden_once = set()
        told.fails_after = None
        many = refresh(file, told, 0, 80)
        once = refresh(store_in(Path(folder) / "once"), told, 0, 80)
    assert np.array_equal(many.rows.time, once.rows.time)
    assert np.array_equal(many.rows.values, once.rows.values)
    assert content(once) == told.rows


def test_a_row_that_was_revised_is_replaced_and_reported(file: StoreFile) -> None:
    told = Told(range(50))
    refresh(file, told, 0, 30)
    told.rows[28] = (28.25, 3.0)
    done = refresh(file, told, 0, 40)
    assert (hours(done.revised), done.notes) == ([28], [])
    assert content(done)[28] == (28.25, 3.0)
    assert refresh(file, told, 0, 40).revised == []


def test_volumes_that_all_change_are_revisions_and_no_other_market(file: StoreFile) -> None:
    told = Told(range(50))
    refresh(file, told, 0, 30)
    told.rows.update({hour: (hour + 0.5, 7.0) for hour in range(26, 30)})
    done = refresh(file, told, 0, 30)
    assert (hours(done.revised), done.notes) == ([26, 27, 28, 29], [])


def test_another_market_s_history_is_set_aside_and_all_is_fetched_anew(file: StoreFile) -> None:
    refresh(file, Told(range(50)), 0, 30)
    other = Told(range(50))
    other.rows = {hour: (price + 1000, volume) for hour, (price, volume) in other.rows.items()}
    done = refresh(file, other, 0, 40)
    assert content(done) == {hour: other.rows[hour] for hour in range(40)}
    (note,) = done.notes
    assert note == (
        "4 of 4 rows stored from 1970-01-02T02:00:00Z on are not the exchange's: S-1h.parquet is of another market,"
        " set aside as S-1h.parquet.damaged-2019-10-17T090000Z, and all is fetched anew"
    )
    assert (file.path.parent / "S-1h.parquet.damaged-2019-10-17T090000Z").exists()
    assert refresh(file, other, 0, 40).notes == []


def test_an_answer_that_was_no_answer_costs_nothing(file: StoreFile) -> None:
    """ccxt makes of what it cannot read an answer without rows."""
    told = Told(range(60))
    told.hidden_once = {*range(10), *range(30, 40)}
    done = refresh(file, told, 0, 50)
    assert content(done) == {hour: told.rows[hour] for hour in range(50)}
    assert hours(done.repaired) == [*range(10), *range(30, 40)]
    told.hidden_once = set(range(46, 60))
    done = refresh(file, told, 0, 60)
    assert told.requests[:2] == [(46, 50), (46, 50)]
    assert content(done) == told.rows
    assert done.notes == []


def test_an_exchange_that_says_nothing_of_what_it_said_before_is_not_believed(file: StoreFile) -> None:
    told = Told(range(60))
    refresh(file, told, 0, 50)
    with pytest.raises(DataError) as raised:
        refresh(file, Told([]), 0, 55)
    assert str(raised.value) == (
        "asked twice, the exchange tells nothing of the 4 rows from 1970-01-02T22:00:00Z on that it told before; "
        f"if it is another market by now, move {file.path} away"
    )
    assert len(refresh(file, told, 0, 55).rows) == 55


def test_rows_that_the_exchange_has_no_longer_stay_with_a_word(file: StoreFile) -> None:
    told = Told(range(60))
    refresh(file, told, 0, 50)
    whole = dict(told.rows)
    del told.rows[48]
    done = refresh(file, told, 0, 50)
    assert done.notes == ["1 of the rows stored from 1970-01-02T22:00:00Z on the exchange has no longer; they stay"]
    assert content(done)[48] == whole[48]


def test_what_lies_ahead_of_the_exchange_s_time_is_dropped_with_a_word(file: StoreFile) -> None:
    told = Told(range(60))
    refresh(file, told, 0, 50)
    done = refresh(file, told, 0, 30)
    assert done.notes == ["20 stored rows lie ahead of the exchange's time, 1970-01-02T06:00:00Z: they are dropped"]
    assert len(done.rows) == 30
    told.rows[40] = (1.0, 1.0)
    assert content(refresh(file, told, 0, 50)) == {hour: told.rows[hour] for hour in range(50)}


def test_a_damaged_file_is_set_aside_with_a_word_and_fetched_anew(file: StoreFile) -> None:
    told = Told(range(30))
    refresh(file, told, 0, 30)
    file.path.write_bytes(file.path.read_bytes()[:-20])
    done = refresh(file, told, 0, 30)
    assert len(done.rows) == 30
    (note,) = done.notes
    assert note.startswith(f"{file.path} is damaged: ")
    assert note.endswith("; it is set aside as S-1h.parquet.damaged-2019-10-17T090000Z, and all is fetched anew")


def test_gaps_are_asked_for_once_more_and_what_comes_is_reported(file: StoreFile) -> None:
    told = Told([hour for hour in range(60) if hour not in (20, 41)])
    told.hidden_once = {5, 6, 59}
    done = refresh(file, told, 0, 60)
    assert content(done) == told.rows
    assert hours(done.repaired) == [5, 6, 59]
    assert told.requests[-3:] == [(5, 7), (20, 21), (41, 42)] or told.requests[-3:] == [(20, 21), (41, 42), (59, 60)]
    told.rows[20] = (20.5, 1.0)  # the exchange finds it again
    done = refresh(file, told, 0, 60)
    assert hours(done.repaired) == [20]
    assert 20 in content(done)


def test_a_row_that_cannot_be_true_is_not_kept_and_asked_for_until_it_can(file: StoreFile) -> None:
    told = Told(range(40))
    good, told.rows[17] = told.rows[17], (-5.0, 1.0)
    told.rows[18] = (float("nan"), 1.0)
    done = refresh(file, told, 0, 40)
    assert hours(done.rejected.time.tolist()) == [17, 18]
    assert done.rejected.values[0].tolist() == [-5.0, 1.0]
    assert not {17, 18} & set(content(done))
    assert hours(refresh(file, told, 0, 40).rejected.time.tolist()) == [17, 18]
    told.rows[17] = told.rows[18] = good
    done = refresh(file, told, 0, 40)
    assert len(done.rejected) == 0
    assert content(done) == told.rows


def test_two_different_rows_of_one_time_are_none_and_the_same_twice_is_one(file: StoreFile) -> None:
    told = Told(range(20))
    told.besides = [(5, *told.rows[5]), (8, 1.0, 1.0)]
    done = refresh(file, told, 0, 20)
    assert hours(done.rejected.time.tolist()) == [8, 8]
    assert content(done)[5] == told.rows[5]
    assert 8 not in content(done)


def test_a_row_between_the_hours_is_rejected_every_time(file: StoreFile) -> None:
    told = Told(range(20))
    told.besides = [(7.5, 1.0, 1.0)]
    for _ in range(2):
        assert refresh(file, told, 0, 20).rejected.time.tolist() == [27_000]
    told.besides = []
    assert len(refresh(file, told, 0, 20).rejected) == 0


def test_an_exchange_that_said_it_has_nothing_is_asked_again(file: StoreFile) -> None:
    told = Told(range(30))
    told.hidden_once = set(range(15))
    assert min(content(refresh(file, told, 0, 30))) == 5  # a page before the first row was asked for once more
    assert content(refresh(file, told, 0, 30)) == told.rows
    nothing = Told([])
    other = store_in(file.path.parent.parent / "other")
    assert len(refresh(other, nothing, 0, 30).rows) == 0
    assert content(refresh(other, told, 0, 30)) == told.rows


def test_progress_goes_from_nothing_to_all(file: StoreFile) -> None:
    shares: list[float] = []
    asyncio.run(Refresh(file, SERIES, Told(range(50)).pages, shares.append).run(0, 50 * HOUR))
    assert shares == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
