"""What of the bot's the disk does not take at present. While there is anything, the bot enters nothing."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_core.journal.journal import Journal
from nightdesk_exporter import BotExporter
from nightdesk_guard import GuardRuntime

from nightdesk_trendbot.live.decision_log import DecisionLog


class Disk:
    """Looks after what journal, decisions and guard hold in memory: has it written again, and tells of it."""

    def __init__(self, journal: Journal, decisions: DecisionLog, guard: GuardRuntime, exporter: BotExporter) -> None:
        self._journal = journal
        self._decisions = decisions
        self._guard = guard
        self._exporter = exporter

    @property
    def takes_all(self) -> bool:
        """Whether the disk has all that the bot must keep; the exporter's status file and spool count, too."""
        return not any(self._held().values()) and not self._exporter.held_in_memory

    def look(self) -> bool:
        """Have written what is in memory only, where that goes now; tell how it stands, and return `takes_all`."""
        self._journal.write_again()
        self._decisions.write_again()
        for what, why in self._held().items():
            self._exporter.unwritable(what, why or "")
        return self.takes_all

    def _held(self) -> Mapping[str, str | None]:
        # The guard's memory is a part of the journal.
        guard = self._guard.held_in_memory
        return {
            "journal": self._journal.unwritten,
            "decisions": self._decisions.unwritten,
            "audit log": guard.get("audit log"),
            "kill switch": guard.get("kill switch"),
        }
