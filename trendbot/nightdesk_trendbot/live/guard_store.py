"""Where the reference bot's guard keeps what it must not forget: in the journal, beside the trades that it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nightdesk_core.files import stored
from nightdesk_core.files.stored import StoredError
from nightdesk_core.journal.journal import DamagedJournalError, GuardTransition, Journal
from nightdesk_guard import Anchors, GuardMemory, GuardStep, KillSwitchState, SwitchSeen
from nightdesk_guard.notices import Notice

from nightdesk_trendbot.live.journal_keys import KILLS_KEY

_ANCHORS_KEY = "kill switch anchors"


class JournalGuardStore:
    """The guard's part of a journal. The policy's memory is a part of the engine's state, which the bot keeps."""

    def __init__(self, journal: Journal, memory: GuardMemory) -> None:
        """`memory` is that of the engine's state which the journal ends with."""
        self._journal = journal
        self._memory = memory
        self._moved = next(reversed(journal.transitions()), None)

    @property
    def unwritten(self) -> str | None:
        """Why what is kept is in memory only; `None` where it is durable."""
        return self._journal.unwritten

    def write_again(self) -> bool:
        """Write what is in memory only, where the disk takes it now; return whether it has it all."""
        return self._journal.write_again()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep everything in the block together, or nothing of it; in memory until the disk takes it."""
        before = self._memory, self._moved
        try:
            with self._journal.transaction():
                yield
        except BaseException:
            self._memory, self._moved = before
            raise

    def memory(self) -> GuardMemory:
        """Return what the policy goes on from."""
        return self._memory

    def last_move(self) -> GuardTransition | None:
        """Return the guard's last move."""
        return self._moved

    def seen(self) -> SwitchSeen:
        """Return the kill switch as it was kept last. Raises `DamagedJournalError` where that cannot be read."""
        anchors, switch = self._journal.load(_ANCHORS_KEY), self._journal.load(KILLS_KEY)
        blank, source = SwitchSeen(), str(self._journal.path)
        try:
            return SwitchSeen(
                blank.anchors if anchors is None else stored.from_plain(Anchors, anchors, source=source, complete=True),
                blank.switch
                if switch is None
                else stored.from_plain(KillSwitchState, switch, source=source, complete=True),
            )
        except StoredError as error:
            raise DamagedJournalError(self._journal.path, f"holds no kill switch ({error.reason})") from error

    def keep_step(self, step: GuardStep) -> None:
        """Keep what a step changed; the bot keeps the engine's state, of which the memory is a part."""
        if step.moved is not None:
            self._journal.record_transition(step.moved)
            self._moved = step.moved
        self._memory = step.memory

    def keep_seen(self, seen: SwitchSeen) -> None:
        """Keep how the kill switch was seen."""
        self._journal.save(_ANCHORS_KEY, stored.plain(seen.anchors))
        self._journal.save(KILLS_KEY, stored.plain(seen.switch))

    def owe(self, notices: Sequence[Notice]) -> None:
        """Keep what must be told to others."""
        for notice in notices:
            self._journal.post(notice.kind, notice.content)

    def owed(self) -> Sequence[Notice]:
        """Return what must still be told, oldest first."""
        return [Notice(posted.kind, posted.content) for posted in self._journal.outbox()]

    def told(self, count: int) -> None:
        """Forget the oldest of what was owed."""
        for posted in self._journal.outbox()[:count]:
            self._journal.told(posted)
