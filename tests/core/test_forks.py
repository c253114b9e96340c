"""Locks and journals of a process that forks."""

from __future__ import annotations

from pathlib import Path

from tests.forking import lines_of

HEAD = """
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_core.journal.journal import Journal, JournalError
"""


def test_a_lock_that_was_held_at_a_fork_is_free_once_its_holder_lets_go_and_not_by_the_child(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
reading, writing = os.pipe()
def is_free():
    try:
        with locked(FOLDER / "lock", timeout_seconds=0):
            return True
    except LockTimeoutError:
        return False
pid = None
with contextlib.suppress(InterruptedError), locked(FOLDER / "lock", timeout_seconds=0):
    pid = os.fork()
    if pid == 0:
        raise InterruptedError  # the child leaves the block
    os.read(reading, 1)  # once it has
    say("free while it is held:", is_free())
if pid == 0:
    other = os.open(FOLDER / "other", os.O_CREAT | os.O_RDWR)  # may have the lock's number
    os.write(writing, b"x")
    signal.alarm(20)
    time.sleep(15)
    os._exit(0)
say("free afterwards:", is_free())
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
""",
        tmp_path,
    )
    assert said == ["parent free while it is held: False", "parent free afterwards: True"]


def test_a_child_neither_reads_nor_writes_by_its_parent_s_journal(tmp_path: Path) -> None:
    said = lines_of(
        HEAD
        + """
journal = Journal(FOLDER / "btc.sqlite")
with journal.transaction():
    journal.save("key", {"of": "parent"})
with child() as is_child:
    if is_child:
        for call in (lambda: journal.load("key"), lambda: journal.save("key", {"of": "child"}), journal.outbox):
            try:
                say(call())
            except JournalError as error:
                say("refused:", error.reason)
        journal.close()
        own = Journal(FOLDER / "btc.sqlite")
        say(own.load("key"))
        own.close()
say(journal.load("key"))
""",
        tmp_path,
    )
    refused = "child refused: was opened by the process that this one was forked from; open it anew in this process"
    assert said == [*[refused] * 3, "child {'of': 'parent'}", "parent ended 0", "parent {'of': 'parent'}"]
