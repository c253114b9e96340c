"""No test is skipped where continuous integration runs it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

from tests.conftest import CHECKOUT
from tests.other_user import as_other_user, must_be_root
from tests.skipping import FAILS, cannot_run

SKIPS = re.compile(r"\b(?:pytest|mark)\.(?:skip|skipif|importorskip|xfail)\b|\b(?:SkipTest|allow_module_level)\b")
MAY_SKIP = {
    "tests/skipping.py": "the one place",
    "tests/disks.py": "a container may mount nothing, even as root; the limit of the kernel is tested in any",
    "tests/test_skipping.py": "this one",
}


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


ASKED = {"the helper": lambda: cannot_run("no such thing here"), "root": must_be_root, "another user": as_other_user}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.usefixtures("nobody")
def test_what_cannot_run_is_skipped_on_a_machine_of_one_s_own_and_fails_in_continuous_integration(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FAILS, raising=False)
    with pytest.raises(pytest.skip.Exception):
        ask()
    monkeypatch.setenv(FAILS, "1")
    with pytest.raises(pytest.fail.Exception, match="lets no test be skipped"):
        ask()


def test_continuous_integration_says_that_it_is_one() -> None:
    assert f"export {FAILS}=1\n" in (CHECKOUT / ".ci" / "run").read_text()


def test_nothing_else_skips() -> None:
    files = {str(path.relative_to(CHECKOUT)): path for path in (CHECKOUT / "tests").rglob("*.py")}
    assert {name for name, path in files.items() if SKIPS.search(path.read_text())} == set(MAY_SKIP)
