"""Whatever lies where a file should be, reading it ends at once, and says what is wrong."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nightdesk_core.files import reader
from nightdesk_core.files.reader import InputError, MissingInputError

from tests.odd_files import NO_REGULAR_FILES, at_most

READERS: dict[str, Callable[[Path], object]] = {
    "bytes": reader.read_bytes,
    "text": reader.read_text,
    "start": lambda path: reader.read_start(path, 10),
    "lines": lambda path: list(reader.read_lines(path)),
    "sha256": reader.sha256_of,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", NO_REGULAR_FILES)
def test_what_is_no_regular_file_is_refused_at_once(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    NO_REGULAR_FILES[kind](path)
    with at_most(5), pytest.raises(InputError) as caught:
        READERS[name](path)
    assert not isinstance(caught.value, MissingInputError), "something is there: it must not count as never written"
    assert caught.value.source == str(path)


def test_a_file_that_is_written_while_it_is_looked_for_was_missing_and_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / "file", os.open

    def written_just_after(path: Path, *how: Any) -> int:
        try:
            return opened(path, *how)
        finally:
            Path(path).write_bytes(b"{}")

    monkeypatch.setattr(os, "open", written_just_after)
    with pytest.raises(MissingInputError):
        reader.read_bytes(path)


@pytest.mark.parametrize("kind", NO_REGULAR_FILES)
def test_nothing_is_appended_to_what_is_no_regular_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    NO_REGULAR_FILES[kind](path)
    if kind == "a symbolic link to nothing":
        with reader.open_to_append(path) as file:
            file.write(b"x")
        assert (tmp_path / "nothing").read_bytes() == b"x", "the system creates what a link leads to"
        return
    with at_most(5), pytest.raises(InputError), reader.open_to_append(path) as file:
        file.write(b"x")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("a FIFO", "is a FIFO where a file must be; move it away"),
        ("a folder", "is a folder where a file must be; move it away"),
        ("a socket", "is a socket where a file must be; move it away"),
        ("an endless device", "is a device where a file must be; move it away"),
        ("a loop of symbolic links", "cannot be read (Too many levels of symbolic links)"),
        ("a symbolic link to nothing", "is a symbolic link to something that is not there; move it away"),
    ],
)
def test_the_message_names_what_is_there_and_what_to_do(kind: str, reason: str, tmp_path: Path) -> None:
    NO_REGULAR_FILES[kind](tmp_path / "file")
    with pytest.raises(InputError) as caught:
        reader.read_bytes(tmp_path / "file")
    assert str(caught.value) == f"{tmp_path / 'file'}: {reason}"


def test_a_file_that_is_not_there_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="No such file"):
        reader.read_bytes(tmp_path / "file")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory") as caught:
        reader.read_bytes(tmp_path / "file" / "inside")
    assert not isinstance(caught.value, MissingInputError)


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "\ud800"])
def test_a_path_that_cannot_be_one_is_an_error_like_any_other(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        reader.read_bytes(tmp_path / name)
    with pytest.raises(InputError), reader.open_to_append(tmp_path / name):
        pass


def test_a_file_is_read_up_to_its_bound_and_not_beyond(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert reader.read_bytes(path, largest=5) == b"12345"
    assert reader.read_start(path, 3) == b"123"
    with pytest.raises(InputError, match="more than 4 bytes"):
        reader.read_bytes(path, largest=4)
    assert reader.sha256_of(path) == hashlib.sha256(b"12345").hexdigest()


def test_lines_are_read_one_by_one_and_one_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234\n12\ntorn")
    assert list(reader.read_lines(path, longest=5)) == [b"1234\n", b"12\n", b"torn"]
    with pytest.raises(InputError, match="line 1 has more than 4 bytes"):
        list(reader.read_lines(path, longest=4))


def test_text_that_is_no_utf_8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ab\xff")
    with pytest.raises(InputError, match=r"is not UTF-8 \(byte 2\)"):
        reader.read_text(tmp_path / "file")


def test_appending_creates_the_file_and_adds_to_its_end(tmp_path: Path) -> None:
    for text in (b"a", b"b"):
        with reader.open_to_append(tmp_path / "file") as file:
            file.write(text)
    assert (tmp_path / "file").read_bytes() == b"ab"


def test_no_descriptor_is_left_open_by_what_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        with pytest.raises(InputError):
            reader.read_bytes(tmp_path / "file")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
