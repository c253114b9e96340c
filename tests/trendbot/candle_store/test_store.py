"""The store: what was written comes back, or is known to be something else; nothing is half-written."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.files import durable as files
from nightdesk_core.models.pipeline import DataError
from nightdesk_trendbot.candle_store import store
from nightdesk_trendbot.candle_store.store import DamagedStoreError, Rows, StoreFile

from tests.killing import killed_at

COLUMNS = ("open", "close")


def file_of(folder: Path, symbol: str = "BTC/USDT:USDT", *, source: str = "bybit", series: str = "1h") -> StoreFile:
    return StoreFile(folder, source=source, symbol=symbol, series=series, columns=COLUMNS)


def rows(times: list[int], *, shift: float = 0.0) -> Rows:
    time = np.array(times, dtype=np.int64)
    values = np.column_stack([time / 7 + shift, time / 3 - shift])
    return Rows(time, values, ((times[0], times[-1] + 1),) if times else ())


def same(one: Rows, other: Rows) -> bool:
    return (
        np.array_equal(one.time, other.time)
        and np.array_equal(one.values, other.values)
        and one.covered == other.covered
    )


def test_what_was_written_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    assert same(file.load(), Rows.none(2))
    for written in (rows([3, 4, 9]), rows([3]), Rows.none(2)):
        file.save(written)
        assert same(file.load(), written)


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), unique=True, max_size=6))
def test_no_name_leaves_the_folder_or_meets_another(names: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder)
        paths = {file_of(home, symbol, source=f"a{source}").path for source, symbol in names}
        assert len(paths) == len(names)
        assert all(path.resolve().parent.parent == home.resolve() for path in paths)


@given(st.lists(st.integers(0, 60), unique=True), st.lists(st.integers(0, 60), unique=True))
def test_merged_are_the_rows_of_both_and_the_newer_count(ours: list[int], theirs: list[int]) -> None:
    one, other = rows(sorted(ours)), rows(sorted(theirs), shift=1.0)
    merged = one.merged(other)
    assert merged.time.tolist() == sorted({*ours, *theirs})
    newer = np.isin(merged.time, other.time)
    assert np.array_equal(merged.values[newer], other.values)
    assert np.array_equal(merged.values[~newer], one.values[~np.isin(one.time, other.time)])


def test_damage_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.save(rows(list(range(200))))
    whole = file.path.read_bytes()
    damaged = [whole[:cut] for cut in range(0, len(whole), 97)]
    for at in range(0, len(whole), 53):
        damaged.append(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
    for content in damaged:
        file.path.write_bytes(content)
        # A bit that means nothing to anybody may turn: what is read is right, or nothing is.
        with suppress(DamagedStoreError):
            assert same(file.load(), rows(list(range(200))))
    file.path.write_bytes(whole[:-1])
    with pytest.raises(DamagedStoreError) as raised:
        file.load()
    assert str(raised.value).startswith(f"{file.path} is damaged: ")
    assert raised.value.exit_code == 3


@pytest.mark.parametrize("other", [{"symbol": "ETH/USDT:USDT"}, {"source": "okx"}, {"series": "funding"}])
def test_a_file_under_another_s_name_is_not_taken_for_it(tmp_path: Path, other: dict[str, str]) -> None:
    theirs, ours = file_of(tmp_path, **other), file_of(tmp_path)
    theirs.save(rows([1, 2]))
    ours.save(rows([1, 2]))
    theirs.path.replace(ours.path)
    with pytest.raises(DamagedStoreError, match="it holds something else, or comes from another release"):
        ours.load()


def test_killed_at_any_line_the_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    file, old, new = file_of(tmp_path), rows([1, 2, 3]), rows([1, 2, 3, 4])

    def save() -> None:
        with file.held():
            file.save(new)

    line, seen = 1, set()
    file.save(old)
    while killed_at(line, (store, files), save):
        found = file.load()
        assert same(found, old) or same(found, new)
        seen.add(len(found))
        file.save(old)
        line += 3
    assert seen == {3, 4}
    with file.held():
        assert not list(file.path.parent.glob(".*.part"))


def test_two_processes_do_not_write_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_LOCK_SECONDS", 0.05)
    file = file_of(tmp_path)
    context = multiprocessing.get_context("fork")
    holding, release = context.Event(), context.Event()

    def hold() -> None:
        with file.held():
            holding.set()
            release.wait(20)

    other = context.Process(target=hold)
    other.start()
    try:
        assert holding.wait(20)
        with pytest.raises(DataError, match=r"another retrain collects the same data; wait for it"), file.held():
            pass
    finally:
        release.set()
        other.join(20)
    with file.held():
        pass


def use(file: StoreFile) -> None:
    with file.held():
        pass


@pytest.mark.parametrize("act", [lambda file: file.save(rows([1])), StoreFile.load, StoreFile.set_aside, use])
def test_a_folder_that_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, act: Callable[[StoreFile], object]
) -> None:
    (tmp_path / "bybit").write_text("a file where a folder must be")
    with pytest.raises(DataError) as raised:
        act(file_of(tmp_path))
    assert str(raised.value).startswith(f"{tmp_path}/bybit/BTC%2FUSDT%3AUSDT-1h.parquet cannot be used (")
    assert str(raised.value).endswith("see to the folder's disk and rights, or set trendbot.data_dir")


def test_a_file_says_of_itself_what_the_first_release_s_did(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.save(Rows(np.array([0, 3600]), np.array([[1.5, 2.0], [3.0, 4.25]]), ((0, 7200),)))
    assert pq.read_schema(file.path).metadata[b"nightdesk"] == (
        b'{"format": 1, "source": "bybit", "symbol": "BTC/USDT:USDT", "series": "1h", "covered": [[0, 7200]], '
        b'"sha256": "1f53eea80c7f1f04c3f7c444b74afb80c082636482d250e66daf363b7ebd7070"}'
    )
