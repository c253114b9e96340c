"""Text from elsewhere is fit to be shown: nothing in it is obeyed, unseen or unwritable."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightdesk_core.text import clean, line, told

_SEEN_ALTHOUGH_FORMAT = set(map(chr, [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD]))
"""Arabic, Syriac and Kaithi number signs: of category Cf, and visible."""


def test_no_character_is_left_that_is_obeyed_or_cannot_be_seen() -> None:
    for letter in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _SEEN_ALTHOUGH_FORMAT:
            expected = letter if letter in "\n\t" else "\ufffd"
            assert clean(letter) == expected, f"U+{ord(letter):04X}"
            assert line(letter) in (" ", "\ufffd"), f"U+{ord(letter):04X}"


def test_what_can_be_seen_stays_as_it_is() -> None:
    for letter in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(letter)[0] in "NPSZ" and unicodedata.category(letter) not in ("Zl", "Zp"):
            assert clean(letter) == line(letter) == letter, f"U+{ord(letter):04X}"
    assert clean("Währung ₿, 比特币, ‏".rstrip("\u200f")) == "Währung ₿, 比特币, "


@pytest.mark.parametrize(
    ("text", "several_lines", "one_line"),
    [
        ("\x1b]0;owned\x07", "\ufffd]0;owned\ufffd", "\ufffd]0;owned\ufffd"),
        ("\x9b31mred", "\ufffd31mred", "\ufffd31mred"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree", "one two three"),
        ("50%\rsold", "50%\ufffdsold", "50%\ufffdsold"),
        ("BTC\u202eTSU", "BTC\ufffdTSU", "BTC\ufffdTSU"),
        ("ad\u200bmin", "ad\ufffdmin", "ad\ufffdmin"),
        ("half \ud83d", "half \ufffd", "half \ufffd"),
        ("a\u2028b\x85c", "a\ufffdb\ufffdc", "a\ufffdb\ufffdc"),
        ("[/boom] <b> & *_`", "[/boom] <b> & *_`", "[/boom] <b> & *_`"),
    ],
)
def test_each_kind_of_text_that_does_harm(text: str, several_lines: str, one_line: str) -> None:
    assert clean(text) == several_lines
    assert line(text) == one_line


@given(st.text(st.characters(codec=None)))
def test_whatever_comes_can_be_written_and_is_cleaned_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert line(clean(text)) == line(text) == clean(line(text))
    assert len(line(text).splitlines()) <= 1
    clean(text).encode()


def test_an_object_that_cannot_say_what_it_is_is_told_of() -> None:
    class Broken:
        def __str__(self) -> str:
            raise OSError("gone")

    assert told(Broken()) == "<Broken that cannot be shown: OSError>"
    assert told(3) == "3"
