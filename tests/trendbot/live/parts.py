"""The parts of a live bot as a new process has them: all that lasts lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import TimeScale, WallClock, system_clock
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_exporter import BotExporter, Limits
from nightdesk_guard import KillLimits, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.live.decision_log import DecisionLog, log_path
from nightdesk_trendbot.live.parts import LiveParts, Tuning
from nightdesk_trendbot.live.probation import Probation
from nightdesk_trendbot.live.rotation import Rotation
from nightdesk_trendbot.model.champion import ChampionWatch
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.signal import Outcome

from tests.guard.conftest import BREAK_EVEN

DAY = 86_400.0


def live_parts(
    folder: Path,
    settings: TrendbotSettings,
    *,
    guard: GuardSettings,
    kill_limits: KillLimits,
    watch: ChampionWatch | None = None,
    clock: WallClock,
    told_by: WallClock = system_clock,
    limits: Mapping[str, float] | None = None,
) -> LiveParts:
    """Return the parts of a bot; `told_by` is the clock of what it tells others, and of what others tell it."""
    audit = AuditLog(folder / "audit.jsonl", clock=told_by)
    registry = ModelRegistry(folder / "models")
    return LiveParts(
        tuning=Tuning(
            trendbot=settings,
            performance=PerformanceGuard(guard, break_even_win_rate=BREAK_EVEN),
            kill_limits=kill_limits,
            limits=Limits(**(limits or {})),
        ),
        state_dir=folder,
        journal=Journal(journal_path(folder, "btc")),
        decisions=DecisionLog(log_path(folder, "btc")),
        watch=ChampionWatch(registry, settings) if watch is None else watch,
        requests=RetrainRequests(folder, audit, clock=told_by),
        audit=audit,
        probation=Probation(registry, oldest_seconds=1e12, between_rollbacks_seconds=30 * DAY, clock=told_by),
        rotation=Rotation(registry, audit, rolled_back=_unheard),
        exporter=BotExporter(
            "btc", symbols=[(symbol, "1h") for symbol in settings.symbols], outcomes=list(Outcome), port=0
        ),
        scale=TimeScale(),
        clock=clock,
    )


def forget(parts: LiveParts) -> None:
    """End a bot and leave nothing behind of its life but its models."""
    parts.journal.close()
    for path in parts.state_dir.glob("btc*"):
        path.unlink()


def _unheard(_champion: Champion) -> None:
    """Hear that a champion was taken back, and say nothing."""
