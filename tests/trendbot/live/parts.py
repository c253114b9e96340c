"""The parts of a live bot as a new process has them: all that lasts lies on disk."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import TimeScale, WallClock
from nightdesk_core.journal import Journal, journal_path
from nightdesk_core.registry import ModelRegistry
from nightdesk_core.requests import RetrainRequests
from nightdesk_exporter import BotExporter
from nightdesk_guard import KillLimits, KillSwitch, PerformanceGuard, ResumeFile
from nightdesk_trendbot.live.bot import LiveParts
from nightdesk_trendbot.live.decision_log import DecisionLog, log_path
from nightdesk_trendbot.live.outbox import Outbox
from nightdesk_trendbot.live.probation import Probation
from nightdesk_trendbot.model.champion import ChampionWatch
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.signal import Outcome

from tests.guard.conftest import BREAK_EVEN, NERVOUS


def live_parts(folder: Path, settings: TrendbotSettings, *, watch: ChampionWatch, clock: WallClock) -> LiveParts:
    """Return the parts of a bot that is easily alarmed."""
    journal = Journal(journal_path(folder, "btc"))
    audit = AuditLog(folder / "audit.jsonl", clock=clock)
    registry = ModelRegistry(folder / "models")
    return LiveParts(
        settings=settings,
        journal=journal,
        decisions=DecisionLog(log_path(folder, "btc")),
        watch=watch,
        kill_switch=KillSwitch(folder, clock=clock),
        kill_limits=KillLimits(floor_drawdown=0.15, daily_loss=0.06, leverage=1.8, stale_seconds=3 * 3600.0),
        resumes=ResumeFile(folder, clock=clock),
        probation=Probation(registry, oldest_seconds=1e12, between_rollbacks_seconds=30 * 86_400.0, clock=clock),
        outbox=Outbox(
            journal,
            audit,
            RetrainRequests(folder, audit, clock=clock),
            registry,
            rolled_back=lambda _champion: None,
        ),
        guard=PerformanceGuard(NERVOUS, break_even_win_rate=BREAK_EVEN),
        exporter=BotExporter(
            "btc", symbols=[(symbol, "1h") for symbol in settings.symbols], outcomes=list(Outcome), port=0, clock=clock
        ),
        scale=TimeScale(),
        contact_limit_seconds=300.0,
        clock=clock,
    )
