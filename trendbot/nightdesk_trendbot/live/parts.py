"""What the live bot is made of, and which of it a running bot takes over anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import TimeScale, WallClock, system_clock
from nightdesk_core.journal.journal import Journal
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_exporter import BotExporter, Limits
from nightdesk_guard import KillLimits, PerformanceGuard

from nightdesk_trendbot.live.decision_log import DecisionLog
from nightdesk_trendbot.live.probation import Probation
from nightdesk_trendbot.live.rotation import Rotation
from nightdesk_trendbot.model.champion import ChampionWatch
from nightdesk_trendbot.settings import TrendbotSettings


@dataclass(frozen=True)
class Tuning:
    """What may change while the bot runs: at its start and at each reload it is taken over in the same way."""

    trendbot: TrendbotSettings
    performance: PerformanceGuard
    kill_limits: KillLimits
    limits: Limits
    """What is too old, too much or too little, as alerts go by it."""


@dataclass(frozen=True)
class LiveParts:
    """What the live bot is made of."""

    tuning: Tuning
    """Its settings at the start."""
    state_dir: Path
    """Where kill switch and words of an operator lie."""
    journal: Journal
    decisions: DecisionLog
    watch: ChampionWatch
    requests: RetrainRequests
    audit: AuditLog
    probation: Probation
    rotation: Rotation
    exporter: BotExporter
    scale: TimeScale
    keep_equity_seconds: float = math.inf
    """Of the market: older equity is thinned to one value a day."""
    clock: WallClock = system_clock
