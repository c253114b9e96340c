"""Each row of `docs/reliability.md` names tests that exist, and each part of it has rows."""

from __future__ import annotations

import re

from tests.conftest import CHECKOUT

ROW = re.compile(r"^\| (?!what was tried|---)(.+) \| (.+) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
TEXT = (CHECKOUT / "docs/reliability.md").read_text(encoding="utf-8")


def test_every_row_names_a_test_that_there_is() -> None:
    rows = ROW.findall(TEXT)
    assert rows
    for tried, _, held_by in rows:
        named = TEST.findall(held_by)
        assert named, f"no test is named for: {tried}"
        for file, test in named:
            assert f"def {test}(" in (CHECKOUT / file).read_text(encoding="utf-8"), f"{file}::{test}, for: {tried}"


def test_every_line_of_a_table_is_a_row_of_three() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert len(lines) == len(ROW.findall(TEXT)) + sum(line.startswith(("| what was tried", "|---")) for line in lines)
