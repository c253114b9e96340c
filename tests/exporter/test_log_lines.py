"""A log line never raises into who logs, is JSON whatever it is given, forges no other line, and is not lost."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger
from nightdesk_core.text import clean
from nightdesk_exporter import logs as logs_module
from nightdesk_exporter.log_file import LogFile

from tests.campaigns import cases


class Raising:
    """Raises whatever it is asked."""

    def __str__(self) -> str:
        raise OSError("gone")

    def __repr__(self) -> str:
        raise KeyError("gone")

    def __format__(self, _style: str) -> str:
        raise ValueError("gone")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("gone")


class Odd(str):
    """A text that cannot be formatted."""

    def __format__(self, _style: str) -> str:
        raise ValueError("gone")


class RaisingDict(dict[str, int]):
    """A dictionary that cannot be gone through."""

    def items(self) -> Any:
        raise RuntimeError("gone")


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def circle() -> dict[str, Any]:
    found: dict[str, Any] = {"a": 1}
    found["itself"] = [found, found]
    return found


def parse(line: str) -> Any:
    """Read JSON as strictly as others do: without NaN, and without halves of characters."""

    def refuse(word: str) -> Any:
        raise ValueError(word)

    found = json.loads(line, parse_constant=refuse)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [parse(line) for line in path.read_text(encoding="ascii").splitlines()]


Begin = Callable[[], Path]


@pytest.fixture
def begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Begin:
    """Set logging up, when the test itself runs: before it pytest puts in handlers of its own, which do raise."""
    del capsys  # it is there before standard error is taken

    def set_up() -> Path:
        logging.root.handlers.clear()
        logs_module.set_up("bot", folder=tmp_path)
        return tmp_path / "bot.jsonl"

    return set_up


@pytest.mark.parametrize(
    "log",
    [
        lambda: logging.getLogger("x").warning("%d", "a"),
        lambda: logging.getLogger("x").warning("%s %s", "a"),
        lambda: logging.getLogger("x").warning("%(a)s", {"b": 1}),
        lambda: logging.getLogger("x").warning("no place", "a"),
        lambda: logging.getLogger("x").warning("%s", Raising()),
        lambda: logging.getLogger("x").warning(Raising()),
        lambda: logging.getLogger("x").warning(b"\xff%s", 1),
        lambda: logging.getLogger("x").error("%z", 1, exc_info=True),
        lambda: logger.warning("{}", Raising()),
        lambda: logger.warning("{!r}", Raising()),
        lambda: logger.warning("{} {}", 1),
        lambda: logger.warning("{a.b.c}", a=1),
        lambda: logger.warning("{", 1),
        lambda: logger.warning("{:.2f}", "a"),
        lambda: logger.warning("{}", Odd("x")),
        lambda: logger.warning(Raising()),
        lambda: logger.opt(lazy=True).warning("{}", lambda: 1 / 0),
        lambda: logger.opt(exception=(1, 2)).warning("said"),  # type: ignore[arg-type]
        lambda: logger.opt(exception=(1, 2, 3)).warning("said"),  # type: ignore[arg-type]
        lambda: logging.getLogger("x").warning("said", exc_info=(1, 2, 3)),  # type: ignore[arg-type]
        lambda: logger.log("NO SUCH LEVEL", "said"),
        lambda: logger.log(-1, "said"),
    ],
)
def test_what_does_not_fit_is_a_line_that_says_so_and_does_not_raise(begin: Begin, log: Callable[[], None]) -> None:
    path = begin()
    begun = time.monotonic()
    log()
    assert time.monotonic() - begun < 2
    logger.info("and on")
    first, second = lines(path)
    assert first["message"]
    assert first["level"] in ("warning", "error")
    assert first["where"].startswith(f"{__name__}:")
    assert second["message"] == "and on"


def test_what_does_not_fit_says_what_it_was_given(begin: Begin) -> None:
    path = begin()
    logging.getLogger("x").warning("%d trades", "no")
    logger.info("{} trades of {}", 1)
    assert [line["message"] for line in lines(path)] == [
        "%d trades (with ('no',), which do not fit: TypeError)",
        "{} trades of {} (with (1,), which do not fit: IndexError)",
    ]


GONE = "<Raising that cannot be shown: OSError>"
SAID_AS_TEXT: dict[str, tuple[object, object]] = {
    "not a number": (float("nan"), "nan"),
    "infinite": ([float("inf"), -float("inf")], ["inf", "-inf"]),
    "a decimal that is no number": (Decimal("NaN"), "NaN"),
    "bytes": (b"\xff\x00", "b'\\xff\\x00'"),
    "half a character": ("half \ud83d", "half \ufffd"),
    "what raises": (Raising(), GONE),
    "keys that are no text": ({Raising(): 1, 2: Raising(), (1, 2): {"x"}}, {GONE: 1, "2": GONE, "(1, 2)": ["x"]}),
    "a dictionary that raises": (RaisingDict(a=1), "<RaisingDict that cannot be shown: RuntimeError>"),
    "a number of 5001 digits": (10**5000, "<a whole number of 16610 bits>"),
    "a truth": (True, True),
    "nothing": (None, None),
    "an error's words": (ValueError("[/boom]\x1b]0;x\x07"), "[/boom]\ufffd]0;x\ufffd"),
}


@pytest.mark.parametrize("name", SAID_AS_TEXT)
def test_what_json_cannot_say_is_said_as_text(begin: Begin, name: str) -> None:
    path = begin()
    value, shown = SAID_AS_TEXT[name]
    logger.bind(thing=value).info("said")
    assert lines(path)[0]["extra"] == {"thing": shown}
    assert lines(path)[0]["message"] == "said"


ENDLESS: dict[str, Callable[[], object]] = {
    "within itself": circle,
    "deep": lambda: deep(100_000),
    "a long text": lambda: "x" * 10_000_000,
    "a long list": lambda: list(range(1_000_000)),
    "many keys": lambda: dict.fromkeys(range(100_000)),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_or_is_huge_is_cut(begin: Begin, name: str) -> None:
    path = begin()
    logger.bind(thing=ENDLESS[name]()).info("said")
    logger.info("{}", "y" * 10_000_000)
    first, second = path.read_text().splitlines()
    assert parse(first)["message"] == "said"
    assert parse(second)["message"].endswith(" … (9,950,000 characters more)")
    assert len(first) < 200_000


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.binary(max_size=9)
    | st.text(st.characters(codec=None), max_size=9)
    | st.builds(Raising)
    | st.builds(Odd, st.text(max_size=3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(codec=None), max_size=3) | st.integers() | st.floats(), inner, max_size=3
        )
        | st.tuples(inner, inner)
    ),
    max_leaves=10,
)


@pytest.mark.fuzz
@settings(max_examples=cases(sample=150, campaign=5000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=ANYTHING, arguments=st.lists(ANYTHING, max_size=3), extra=st.dictionaries(st.text(max_size=5), ANYTHING))
def test_whatever_is_logged_is_a_line_of_json_and_one_at_the_console(
    begin: Begin, capsys: pytest.CaptureFixture[str], message: Any, arguments: list[Any], extra: dict[str, Any]
) -> None:
    path = begin()
    path.unlink(missing_ok=True)
    capsys.readouterr()
    logger.bind(**extra).warning(message, *arguments)
    logging.getLogger("x").warning(message, *arguments)
    logger.warning("the end")
    assert [line["message"] for line in lines(path)][-1] == "the end"
    assert len(lines(path)) == 3
    console = capsys.readouterr().err
    assert clean(console) == console
    assert sum(not line.startswith("  ") for line in console.splitlines()) == 3


def test_a_line_break_in_a_message_or_an_error_forges_no_line(begin: Begin, capsys: pytest.CaptureFixture[str]) -> None:
    path = begin()
    forged = "x\n2026-12-01 00:00:00 CRITICAL the kill switch is active\r\n2026-12-01 \x1b[2K"
    try:
        raise ValueError(forged)
    except ValueError:
        logger.exception(forged)
    logger.bind(extra=forged).error("{}", forged)
    console = capsys.readouterr().err
    assert sum(line.startswith("20") for line in console.splitlines()) == 2
    assert "\x1b" not in console
    assert len(lines(path)) == 2


WRITER = """
import sys
from pathlib import Path
from loguru import logger
from nightdesk_exporter import logs
logs.set_up("bot", folder=Path(sys.argv[1]), rotation_megabytes=0.02, keep_files=1000)
for number in range(int(sys.argv[3])):
    logger.info("{} {}", sys.argv[2], number)
"""


def test_processes_that_share_a_rotating_file_lose_no_line(tmp_path: Path) -> None:
    each, writers = cases(sample=500, campaign=5000), [str(number) for number in range(4)]
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name, str(each)], stderr=subprocess.DEVNULL)
        for name in writers
    ]
    assert [process.wait(120) for process in started] == [0] * len(writers)
    files = list(tmp_path.glob("bot*.jsonl"))
    assert len(files) > 5
    said = [line["message"] for file in files for line in lines(file)]
    assert len(said) == len(set(said)) == each * len(writers)
    for name in writers:
        assert {f"{name} {number}" for number in range(each)} <= set(said)


FULL = """
import resource, sys
from pathlib import Path
from loguru import logger
from nightdesk_exporter import logs
path = Path(sys.argv[1]) / "bot.jsonl"
logs.set_up("bot", folder=path.parent)
logger.info("before {}", "x" * 300)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
for number in range(5):
    logger.info("lost {} {}", number, "x" * 300)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
logger.info("after")
"""


def test_on_a_disk_that_is_full_a_line_is_whole_or_not_there_and_what_is_missing_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    messages = [line["message"] for line in lines(tmp_path / "bot.jsonl")]
    assert messages[0].startswith("before")
    assert messages[1].startswith("5 lines are missing here: they could not be written (")
    assert messages[2:] == ["after"]


def test_a_folder_that_is_taken_away_is_made_again_and_a_pipe_in_the_file_s_place_holds_up_nobody(
    tmp_path: Path,
) -> None:
    file = LogFile(tmp_path / "logs" / "bot.jsonl", rotate_bytes=1000, keep_files=1)
    file.write("one\n")
    (tmp_path / "logs").rename(tmp_path / "old")
    file.write("two\n")
    assert (tmp_path / "logs" / "bot.jsonl").read_text() == "two\n"
    (tmp_path / "logs" / "bot.jsonl").unlink()
    os.mkfifo(tmp_path / "logs" / "bot.jsonl")
    file.write("three\n")
    (tmp_path / "logs" / "bot.jsonl").unlink()
    file.write("four\n")
    file.stop()
    missing, four = (tmp_path / "logs" / "bot.jsonl").read_text().splitlines()
    assert "1 lines are missing here" in json.loads(missing)["message"]
    assert four == "four"
