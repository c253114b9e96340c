"""Where a guard keeps what it must not forget: one interface, and the small store of a bot that has no other.

The small store is a file in the state folder, or a key of the bot's journal; the reference bot's own store lies in its
journal beside its trades.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from loguru import logger
from nightdesk_core.cash_flows import AccountHistory
from nightdesk_core.clock import WallTime
from nightdesk_core.files import stored
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import write_json_atomic
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, MissingInputError
from nightdesk_core.journal.journal import GuardTransition, Journal

from nightdesk_guard.kill_switch import KillSwitchState
from nightdesk_guard.notices import Notice
from nightdesk_guard.own_trade import FORKED, GuardError, OwnTrade
from nightdesk_guard.policy import GuardMemory, GuardStep
from nightdesk_guard.tripwire import Anchors

FILE_NAME = "guard_memory.json"
_KEY = "own guard"


@dataclass(frozen=True)
class SwitchSeen:
    """The kill switch as it was last seen, and what falls were measured from then."""

    anchors: Anchors = field(default_factory=Anchors)
    switch: KillSwitchState = field(default_factory=lambda: KillSwitchState(active=False))


class GuardStore(Protocol):
    """What `GuardRuntime` asks of a store. All of it belongs to one thread."""

    @property
    def unwritten(self) -> str | None:
        """Why what is kept is in memory only, because the disk does not take it; `None` where it is durable."""

    def transaction(self) -> AbstractContextManager[None]:
        """Keep everything in the block together, or nothing of it: durably, or in memory until the disk takes it."""

    def write_again(self) -> bool:
        """Write what is in memory only, where the disk takes it now; return whether it has it all."""

    def memory(self) -> GuardMemory:
        """Return what the policy goes on from."""

    def last_move(self) -> GuardTransition | None:
        """Return the guard's last move."""

    def seen(self) -> SwitchSeen:
        """Return the kill switch as it was kept last."""

    def keep_step(self, step: GuardStep) -> None:
        """Keep what a step changed, within a transaction."""

    def keep_seen(self, seen: SwitchSeen) -> None:
        """Keep how the kill switch was seen, within a transaction."""

    def owe(self, notices: Sequence[Notice]) -> None:
        """Keep what must be told to others, within a transaction."""

    def owed(self) -> Sequence[Notice]:
        """Return what must still be told, oldest first."""

    def told(self, count: int) -> None:
        """Forget the oldest of what was owed, within a transaction."""


@dataclass(frozen=True)
class Remembered:
    """All that the small store holds."""

    memory: GuardMemory = field(default_factory=GuardMemory)
    moved: GuardTransition | None = None
    """The guard's last move."""
    seen: SwitchSeen = field(default_factory=SwitchSeen)
    closed: tuple[OwnTrade, ...] = ()
    """Trades that the guard has not been moved by yet, oldest first."""
    shadow_closed: tuple[OwnTrade, ...] = ()
    shadow_equity: float | None = None
    """`None` where the guard does not hold the bot back."""
    owed: tuple[Notice, ...] = ()
    """What is still to be told, oldest first."""
    account: AccountHistory = field(default_factory=AccountHistory)
    """By which a deposit or a withdrawal scales everything that is money in here."""
    currency: str = ""
    """The account's, as the first cash flow that names one says."""
    format: Literal[3] = 3


class SmallStore:
    """The store of a bot that tells of its trades one by one. They wait in it for the next step.

    With a journal, what is kept within a transaction of that is committed with it, or not at all.
    """

    def __init__(self, state_dir: Path, journal: Journal | None = None) -> None:
        """Raises `GuardError` or `DamagedJournalError` where it is damaged."""
        self._file = state_dir / FILE_NAME
        self._journal = journal
        self._moved: GuardTransition | None = None
        self._changing: Remembered | None = None
        """What the transaction that is open has made of it."""
        self.is_new = True
        """Whether nothing was ever kept here, as it was when it was last loaded."""
        self._unwritten: str | None = None
        self._found: object = None
        """What was last read, as it lay there: a journal is read often, and to make sense of it takes longer."""
        self._kept = self.load()
        self._forked = False

    def forked(self) -> None:
        """In a child, keep nothing: it would replace what the parent keeps."""
        self._forked = True

    @property
    def unwritten(self) -> str | None:
        """Why what is kept is in memory only; `None` where it is durable."""
        return self._unwritten if self._journal is None else self._journal.unwritten

    def write_again(self) -> bool:
        """Write what is in memory only, where the disk takes it now; return whether it has it all."""
        if self._journal is not None:
            return self._journal.write_again()
        if self._unwritten is not None:
            self._write(self._kept)
        return self._unwritten is None

    @property
    def in_transaction(self) -> bool:
        """Whether the journal's owner has a transaction open."""
        return self._journal is not None and self._journal.in_transaction

    @property
    def known(self) -> Remembered:
        """What is remembered. A journal is asked every time: a transaction may have been rolled back since."""
        if self._changing is not None:
            return self._changing
        return self._kept if self._journal is None else self.load()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what the block changes, once it has ended without an error. Raises `GuardError` in a child."""
        if self._forked:
            raise GuardError(FORKED)
        before = self._changing = self.known
        self._moved = None
        try:
            yield
            if self._changing != before or self._unwritten is not None:
                self._write(self._changing)
        finally:
            self._changing = None

    def change(self, **what: Any) -> None:
        """Replace fields of what is remembered. Raises `GuardError` outside of a transaction: nobody would keep it."""
        if self._changing is None:
            raise GuardError("the guard's memory changes within a transaction of its store only")
        self._changing = replace(self._changing, **what)

    def memory(self) -> GuardMemory:
        """Return what the policy goes on from, without asking the disk: a caller's transaction never changes it."""
        return (self._changing or self._kept).memory

    def last_move(self) -> GuardTransition | None:
        """Return the guard's last move."""
        return self.known.moved

    def seen(self) -> SwitchSeen:
        """Return the kill switch as it was kept last."""
        return self.known.seen

    def keep_step(self, step: GuardStep) -> None:
        """Keep what a step changed; a move goes into the journal's history, too."""
        self._moved = step.moved
        self.change(memory=step.memory, moved=step.moved or self.known.moved)

    def keep_seen(self, seen: SwitchSeen) -> None:
        """Keep how the kill switch was seen."""
        self.change(seen=seen)

    def owe(self, notices: Sequence[Notice]) -> None:
        """Keep what must be told to others."""
        self.change(owed=(*self.known.owed, *notices))

    def owed(self) -> Sequence[Notice]:
        """Return what must still be told, oldest first."""
        return () if self._forked else self.known.owed  # what is owed, the parent tells

    def told(self, count: int) -> None:
        """Forget the oldest of what was owed."""
        self.change(owed=self.known.owed[count:])

    def load(self) -> Remembered:
        """Return what was kept last, by whomever. Raises `GuardError` or `DamagedJournalError` where it is damaged."""
        path = self._file if self._journal is None else self._journal.path
        try:
            found = self._stored()
            self.is_new = found is None
            if found is None or found != self._found:
                self._kept = Remembered() if found is None else _read(found, source=str(path))
                self._found = found
        except (InputError, ValueError) as error:
            # To trade on without it would forget a pause.
            why = error.reason if isinstance(error, InputError) else error
            raise GuardError(
                f"{path} holds no guard's memory ({why}): find out why and set it aside; the guard then begins anew"
            ) from error
        return self._kept

    def begin(self) -> None:
        """Keep that there is nothing to remember yet: an empty store is one that has lost its memory from then on."""
        self._write(Remembered())
        self.is_new = False

    def _write(self, after: Remembered) -> None:
        if self._journal is None:
            self._write_file(after)
        elif self._moved is None:
            self._journal.save(_KEY, stored.plain(after))
        else:
            with self._journal.transaction():
                self._journal.record_transition(self._moved)
                self._journal.save(_KEY, stored.plain(after))
        self._kept, self._found = after, None  # a caller's transaction may be rolled back yet

    def _write_file(self, after: Remembered) -> None:
        try:
            write_json_atomic(self._file, stored.plain(after))
        except OSError as error:
            if self._unwritten is None:
                logger.critical(
                    "{} cannot be written ({}). Nothing may be entered until it can, and the guard goes on from memory",
                    self._file,
                    error,
                )
            self._unwritten = reason_of(error)
            return
        if self._unwritten is not None:
            logger.info("{} can be written again, and holds all that was done meanwhile", self._file)
        self._unwritten = None

    def _stored(self) -> object:
        if self._journal is not None:
            return self._journal.load(_KEY)
        try:
            found: object = read_json(self._file)
        except MissingInputError:
            return None
        return found


def _read(found: object, *, source: str) -> Remembered:
    if isinstance(found, Mapping) and "guard" in found:
        found = _from_first_format(found)
    if isinstance(found, Mapping) and not {"format", "account", "currency"} & found.keys():
        return _from_second_format(found, source=source)
    return stored.from_plain(Remembered, found, source=source, complete=True)


def _from_first_format(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the present form of what an earlier release kept: it did not know since when a model was in use."""
    memory = {"performance": found.get("guard"), "evidence": found.get("evidence"), "model_since": 0, "model_trades": 0}
    seen = {"anchors": found.get("anchors"), "switch": found.get("switch")}
    kept = {key: value for key, value in found.items() if key not in ("guard", "evidence", "anchors", "switch")}
    return {**kept, "memory": memory, "seen": seen}


def _from_second_format(found: Mapping[str, Any], *, source: str) -> Remembered:
    """Return what an earlier release kept: it did not know of cash flows. The last equity it knew was at some time."""
    whole = {**found, "account": stored.plain(AccountHistory()), "currency": "", "format": 3}
    known = stored.from_plain(Remembered, whole, source=source, complete=True)
    state, anchors = known.memory.performance, known.seen.anchors
    if state.equity <= 0 or anchors.peak <= 0:
        return known
    peaks, starts = (anchors.peak, state.peak_equity), (anchors.day_start, known.shadow_equity or 0.0)
    return replace(known, account=known.account.show(WallTime(0.0), state.equity, peaks=peaks, starts=starts))
