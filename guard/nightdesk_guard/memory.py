"""What a guard of its own must not forget, and where that lies: a file in the state folder, or the bot's journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nightdesk_core.files import write_json_atomic
from nightdesk_core.journal import GuardTransition, Journal

from nightdesk_guard.evidence import Evidence
from nightdesk_guard.kill_switch import KillSwitchState
from nightdesk_guard.notices import Notice
from nightdesk_guard.own_trade import GuardError, OwnTrade
from nightdesk_guard.performance import GuardState
from nightdesk_guard.tripwire import Anchors

FILE_NAME = "guard_memory.json"
_KEY = "own guard"


@dataclass(frozen=True)
class Remembered:
    """All that a guard goes on from after a restart."""

    guard: GuardState = field(default_factory=GuardState)
    moved: GuardTransition | None = None
    """The guard's last move."""
    anchors: Anchors = field(default_factory=Anchors)
    switch: KillSwitchState = field(default_factory=lambda: KillSwitchState(active=False))
    """The kill switch as it was last seen."""
    closed: tuple[OwnTrade, ...] = ()
    """Trades that the guard has not been moved by yet, oldest first."""
    shadow_closed: tuple[OwnTrade, ...] = ()
    shadow_equity: float | None = None
    """`None` where the guard does not hold the bot back."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """By model version."""
    owed: tuple[Notice, ...] = ()
    """What is still to be told, oldest first."""

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Remembered:
        """Return what `to_json` stored. Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` else."""
        moved, shadow_equity = stored["moved"], stored["shadow_equity"]
        return cls(
            guard=GuardState.from_json(stored["guard"]),
            moved=None if moved is None else GuardTransition(**moved),
            anchors=Anchors.from_json(stored["anchors"]),
            switch=KillSwitchState(**stored["switch"]),
            closed=tuple(OwnTrade(**trade) for trade in stored["closed"]),
            shadow_closed=tuple(OwnTrade(**trade) for trade in stored["shadow_closed"]),
            shadow_equity=None if shadow_equity is None else float(shadow_equity),
            evidence={version: Evidence.from_json(found) for version, found in stored["evidence"].items()},
            owed=tuple(Notice(kind, content) for kind, content in stored["owed"]),
        )


class Memory:
    """One guard's memory. With a journal, what is kept within its transaction is committed with that, or not at all."""

    def __init__(self, state_dir: Path, journal: Journal | None) -> None:
        """Raises `GuardError` or `DamagedJournalError` where it is damaged."""
        self._path = state_dir / FILE_NAME
        self._journal = journal
        self._known: Remembered = self.load()

    @property
    def known(self) -> Remembered:
        """What is remembered. A journal is asked every time: a transaction may have been rolled back since."""
        if self._journal is not None:
            self.load()
        return self._known

    def keep(self, after: Remembered, moved: GuardTransition | None = None) -> None:
        """Replace what is remembered, durably; a move of the guard goes into the journal's history, too.

        Raises `OSError` or `sqlite3.Error` where the disk does not take it: all is then as it was.
        """
        if self._journal is None:
            if after != self._known:
                write_json_atomic(self._path, after.to_json())
        elif moved is None:
            self._journal.save(_KEY, after.to_json())
        else:
            with self._journal.transaction():
                self._journal.record_transition(moved)
                self._journal.save(_KEY, after.to_json())
        self._known = after

    def load(self) -> Remembered:
        """Return what was kept last, by whomever. Raises `GuardError` or `DamagedJournalError` where it is damaged."""
        path = self._path if self._journal is None else self._journal.path
        try:
            stored = self._stored()
            self._known = Remembered() if stored is None else Remembered.from_json(stored)
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            # To trade on without it would forget a pause.
            raise GuardError(
                f"{path} holds no guard's memory ({error!r}): find out why and set it aside; the guard then begins anew"
            ) from error
        return self._known

    def _stored(self) -> dict[str, Any] | None:
        if self._journal is not None:
            return self._journal.load(_KEY)
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
