"""The list of known failures and the tests that name them agree."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import CHECKOUT

ROW = re.compile(r"^\| (\d+) \| .+ \| ((?:`[^`]+` ?)+)\|$", re.MULTILINE)
NAMED = re.compile(r"def test_known_failure_(\d+)_")
TOLD = re.compile(r"known failures? (\d+)(?: to (\d+))?")


def held_by() -> dict[int, set[str]]:
    """Return of each known failure the files, or the tests in files, that the documentation names."""
    text = (CHECKOUT / "docs/known-failures.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    assert len(rows) == len(re.findall(r"^\| \d+ ", text, re.MULTILINE)) == len({number for number, _ in rows})
    return {int(number): set(re.findall(r"`([^`]+)`", tests)) for number, tests in rows}


def texts() -> dict[str, str]:
    """Return the text of every file of tests but this one, by its path in the checkout."""
    files = sorted((CHECKOUT / "tests").rglob("*.py"))
    return {str(file.relative_to(CHECKOUT)): file.read_text() for file in files if file != Path(__file__)}


def test_every_number_that_a_test_speaks_of_is_in_the_documentation() -> None:
    spoken_of: set[int] = set()
    for text in texts().values():
        spoken_of |= {int(number) for number in NAMED.findall(text)}
        for first, last in TOLD.findall(text):
            spoken_of |= set(range(int(first), int(last or first) + 1))
    assert spoken_of
    assert spoken_of <= set(held_by())


def test_the_documentation_names_every_test_of_a_number_and_none_that_there_is_not() -> None:
    files = texts()
    for number, names in held_by().items():
        numbered = {file for file, text in files.items() if str(number) in NAMED.findall(text)}
        assert {name for name in names if "::" not in name} == numbered, f"known failure {number}"
        for file, test in (name.split("::") for name in names if "::" in name):
            assert f"def {test}(" in files[file], f"known failure {number}"
        assert names
