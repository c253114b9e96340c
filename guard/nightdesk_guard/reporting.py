"""What is told to whoever watches the bot: how guard and kill switch stand, the shadow, and live against expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from nightdesk_core.clock import WallTime

from nightdesk_guard.evidence import Evidence
from nightdesk_guard.expectation import Expected, Ratios
from nightdesk_guard.limits import GuardLimits
from nightdesk_guard.performance import GuardState, GuardStatus, PerformanceGuard


@dataclass(frozen=True)
class LiveMeasures:
    """What a bot has measured of its live trading beside its trades; `None` is not known."""

    sharpe_ratio: float | None = None
    compared: Ratios | None = None
    """Live over expected."""
    probation_share: float | None = None
    """The share of its size at which the model's standing lets it trade."""


NOTHING_MEASURED = LiveMeasures()


class Reporter(Protocol):
    """Whoever is told; the exporter's `BotExporter` is one. A method must neither raise nor wait."""

    def guard(
        self,
        state: str,
        *,
        reason: str = "",
        size_multiplier: float | None = None,
        values: Mapping[str, float | None] | None = None,
        limits: Mapping[tuple[str, ...], float] | None = None,
        limits_from: str = "",
    ) -> None:
        """How the guard stands, and why. `values` by rule, `limits` by rule and tier, with where they come from."""

    def kill_switch(self, *, active: bool, reason: str = "", activations: int | None = None) -> None:
        """Whether the kill switch is active, and how often it was activated so far."""

    def kill_switch_tested(self) -> None:
        """The kill switch was tried and found to work."""

    def unwritable(self, what: str, reason: str = "") -> None:
        """Something that the guard must keep cannot be written, for a reason; without one it can again."""

    def shadow(self, *, trades_closed: int, win_ratio: float | None, drawdown_ratio: float | None) -> None:
        """What the bot does in the shadow: trades closed since the last call, and where it stands."""

    def delivered(
        self,
        *,
        trades: int,
        win_ratio: float | None = None,
        sharpe_ratio: float | None = None,
        evalue: float | None = None,
        signals: int | None = None,
        breached: bool = False,
        gaps: Mapping[str, float] | None = None,
        probation_share: float | None = None,
        sharpe_to_backtest: float | None = None,
        drawdown_to_backtest: float | None = None,
    ) -> None:
        """What the model in use has shown live."""


@runtime_checkable
class LossReporter(Protocol):
    """What a `Reporter` may be beside; one that was written before there was such a thing need not."""

    def state_lost(self, reason: str) -> None:
        """How it shows that the bot has lived and its state is gone; empty where it is not."""


@runtime_checkable
class NamedReporter(Protocol):
    """What a `Reporter` may be beside: it knows what the bot is called."""

    @property
    def name(self) -> str:
        """The bot's name."""


@runtime_checkable
class AuditReporter(Protocol):
    """What a `Reporter` may be beside, too."""

    def audit(self, *, entries: int, head: str) -> None:
        """How long the audit log is, which holds all that was seen of it, and the hash of its last entry."""

    def audit_missing(self, reason: str) -> None:
        """The audit log lacks what it held, and how that shows."""


@runtime_checkable
class WaitReporter(Protocol):
    """What a `Reporter` may be beside, too."""

    def announce_wait(self, until: WallTime) -> None:
        """The loop waits on purpose until then; a time that is past ends that."""


def report_guard(
    reporter: Reporter, machine: PerformanceGuard, state: GuardState, limits: GuardLimits, *, reason: str
) -> None:
    """Tell how the guard stands against the limits in force, and why it moved where it did."""
    reporter.guard(
        state.status.value,
        reason=reason,
        size_multiplier=machine.size_multiplier(state.status),
        values=asdict(machine.measures(state)),
        limits=limits.by_rule_and_tier(),
        limits_from=limits.source,
    )


def report_shadow(reporter: Reporter, state: GuardState, *, trades_closed: int) -> None:
    """Tell how the shadow fares; where the guard does not hold the bot back there is none, and nothing to show."""
    held_back, wins = state.status is not GuardStatus.NORMAL, state.shadow.wins
    reporter.shadow(
        trades_closed=trades_closed,
        win_ratio=sum(wins) / len(wins) if held_back and wins else None,
        drawdown_ratio=state.shadow.drawdown if held_back else None,
    )


def report_delivered(reporter: Reporter, expected: Expected, found: Evidence, measured: LiveMeasures) -> None:
    """Tell what a model has delivered against what its hold-out promised."""
    gap = found.gap(expected)
    reporter.delivered(
        trades=found.trades,
        win_ratio=found.trade_win_rate,
        sharpe_ratio=measured.sharpe_ratio,
        evalue=found.e_value,
        signals=found.signals,
        breached=found.breached,
        gaps=None if gap is None else gap.parts,
        probation_share=measured.probation_share,
        sharpe_to_backtest=None if measured.compared is None else measured.compared.sharpe,
        drawdown_to_backtest=None if measured.compared is None else measured.compared.drawdown,
    )
