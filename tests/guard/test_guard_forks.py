"""A guard in a forked child: nothing may be entered there, and what its parent remembers is not replaced."""

from __future__ import annotations

from pathlib import Path

from tests.forking import lines_of

HEAD = """
from nightdesk_guard import Guard, KillSwitch
from nightdesk_guard.own_trade import GuardError
"""


def test_a_guard_in_a_child_blocks_entries_keeps_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
with Guard(FOLDER, break_even_win_rate=0.4) as guard:
    guard.equity(100.0, leverage=1.0)
    say(guard.blocked)
    files = {path: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    guard._watch._lock.acquire()  # as another thread may at the fork
    with child() as is_child:
        if is_child:
            say(guard.blocked, guard.must_close)
            calls = (
                lambda: guard.equity(50.0, leverage=0.0),
                lambda: guard.trade(profit=-1.0, risk=1.0),
                lambda: guard.shadow_trade(profit=-1.0, risk=1.0),
                lambda: guard.take(None).__enter__(),
            )
            for call in calls:
                try:
                    call()
                    say("was taken")
                except GuardError as error:
                    say("refused:", error)
            guard.tell(); guard.wait(0.01)
            guard.__exit__(None, None, None)
    guard._watch._lock.release()
    now = {path: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
    say("unchanged:", files == now, FOLDER / "guard_memory.json" in files)
    guard.equity(101.0, leverage=0.0)
    say(guard.blocked)
""",
        tmp_path,
    )
    refused = [line for line in said if line.startswith("child refused:")]
    assert said[0] == "parent None"
    assert said[1].startswith("child: ERROR guard: this process was forked from the one that the guard belongs to.")
    assert said[2] == "child blocked_guard False"
    assert len(refused) == 4
    assert "Make a Guard in this process, after the fork, with a folder of its own" in refused[0]
    assert said[-3:] == ["parent ended 0", "parent unchanged: True True", "parent None"]


def test_a_kill_from_a_child_is_heard_by_its_parent(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
with Guard(FOLDER, break_even_win_rate=0.4) as guard:
    guard.equity(100.0, leverage=0.0)
    with child() as is_child:
        if is_child:
            guard.trip("a worker found something")
            say(guard.blocked)
    say(guard.blocked, KillSwitch(FOLDER).state().reason)
""",
        tmp_path,
    )
    assert [line for line in said if ": " not in line] == [
        "child blocked_kill_switch",
        "parent ended 0",
        "parent blocked_kill_switch a worker found something",
    ]


def test_a_child_that_outlives_the_bot_keeps_its_folder_from_nobody(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
reading, writing = os.pipe()
with Guard(FOLDER, break_even_win_rate=0.4) as guard:
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        signal.alarm(20)
        os.read(reading, 1)
        os._exit(0)
with Guard(FOLDER, break_even_win_rate=0.4) as again:
    again.equity(100.0, leverage=0.0)
    say(again.blocked)
os.write(writing, b"x")
os.waitpid(pid, 0)
""",
        tmp_path,
    )
    assert said == ["parent None"]


def test_a_guard_that_a_child_makes_for_itself_works_and_not_in_the_folder_of_a_bot_that_lives(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
with Guard(FOLDER, break_even_win_rate=0.4):
    with child() as is_child:
        if is_child:
            with Guard(FOLDER / "own", break_even_win_rate=0.4) as own:
                own.equity(100.0, leverage=0.0)
                say(own.blocked)
            with Guard(FOLDER, break_even_win_rate=0.4):
                pass
""",
        tmp_path,
    )
    assert said[0] == "child None"
    assert said[1].startswith("child raised LockTimeoutError")
