"""Guard, kill switch, trades and the account, and what must not be forgotten."""

from __future__ import annotations

from nightdesk_alerts.catalogue.records import AUDIT_MISSING, STATE_LOST
from nightdesk_alerts.catalogue.risk import DAILY_LOSS_HIGH, DRAWDOWN_HIGH, LEVERAGE_HIGH
from nightdesk_alerts.catalogue.trading import GUARD_PAUSED, GUARD_REDUCED, KILL_SWITCH_ACTIVE, NO_TRADES
from nightdesk_core.clock import WallTime
from nightdesk_exporter.health.issues import Issue
from nightdesk_exporter.snapshot import Position, Snapshot

from tests.exporter.conftest import BTC, NOW, late
from tests.exporter.health_cases.case import DAY, DEGRADED, UNHEALTHY_VERDICT, AlertStory, Case, critical, says, warning
from tests.exporter.story import after, without

says_guard = says("guard", "normal")
says_drawdown = says("drawdown_ratio", 0.0)


def says_positions(snapshot: Snapshot) -> None:
    snapshot.positions[BTC] = Position(BTC, "long", 0.1)


CASES = (
    Case(
        lambda exporter, _: exporter.guard("paused", reason="losing streak of 14 reaches 14"),
        Issue(
            "guard_paused",
            DEGRADED,
            "the guard pauses trading: losing streak of 14 reaches 14",
            None,
            WallTime(NOW),
            critical(GUARD_PAUSED),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.guard("paused", reason="x")), looks_back=15, known_by=says_guard
        ),
    ),
    Case(
        lambda exporter, _: exporter.guard("reduced", reason="drawdown 10.40% reaches 10.00%"),
        Issue(
            "guard_reduced",
            DEGRADED,
            "the guard reduces trading: drawdown 10.40% reaches 10.00%",
            None,
            WallTime(NOW),
            warning(GUARD_REDUCED),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.guard("reduced", reason="x")), looks_back=15, known_by=says_guard
        ),
    ),
    Case(
        lambda exporter, _: exporter.kill_switch(active=True, reason="a test"),
        Issue(
            "kill_switch_active",
            DEGRADED,
            "the kill switch is active: a test",
            None,
            WallTime(NOW),
            critical(KILL_SWITCH_ACTIVE),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.kill_switch(active=True, reason="x")),
            looks_back=15,
            known_by=says("kill_switch", False),
        ),
    ),
    Case(
        late(7 * DAY + 1, "loop", "contact", "candle", "decision", "equity"),
        Issue(
            "no_trades",
            DEGRADED,
            "no trade for 7 days, the limit is 7",
            7 * DAY,
            WallTime(NOW + 7 * DAY),
            warning(NO_TRADES),
        ),
        AlertStory(plot=without("trade", from_minute=5), minutes=75, known_by=says("trading_expected", True)),
    ),
    Case(
        lambda exporter, _: exporter.equity(94.0, peak=100.0, daily_pnl_ratio=0.0),
        Issue(
            "drawdown_high",
            DEGRADED,
            "the drawdown is 6.00%, the limit is 5.00%",
            0.05,
            WallTime(NOW),
            warning(DRAWDOWN_HIGH),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.equity(94.9, peak=100.0, daily_pnl_ratio=0.0), instead="equity"),
            known_by=says_drawdown,
        ),
    ),
    Case(
        lambda exporter, _: exporter.equity(89.0, peak=100.0, daily_pnl_ratio=0.0),
        Issue(
            "drawdown_high",
            UNHEALTHY_VERDICT,
            "the drawdown is 11.00%, the limit is 10.00%",
            0.1,
            WallTime(NOW),
            critical(DRAWDOWN_HIGH),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.equity(89.9, peak=100.0, daily_pnl_ratio=0.0), instead="equity"),
            known_by=says_drawdown,
        ),
    ),
    Case(
        lambda exporter, _: exporter.equity(100.0, peak=100.0, daily_pnl_ratio=-0.051),
        Issue(
            "daily_loss_high",
            UNHEALTHY_VERDICT,
            "5.10% lost today, the limit is 5.00%",
            0.05,
            WallTime(NOW),
            critical(DAILY_LOSS_HIGH),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.equity(96.0, peak=100.0, daily_pnl_ratio=-0.051), instead="equity"),
            known_by=says("daily_pnl_ratio", 0.0),
        ),
    ),
    Case(
        lambda exporter, _: exporter.position(BTC, "short", size_ratio=2.6),
        Issue(
            "leverage_high",
            UNHEALTHY_VERDICT,
            "leverage is 2.60, the limit is 2.50",
            2.5,
            WallTime(NOW),
            critical(LEVERAGE_HIGH),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.position(BTC, "short", size_ratio=2.51), instead="position"),
            known_by=says_positions,
        ),
    ),
    Case(
        lambda exporter, _: exporter.state_lost("the journal is gone"),
        Issue(
            "state_lost",
            DEGRADED,
            "the bot has lived and its state is gone: the journal is gone",
            None,
            WallTime(NOW),
            critical(STATE_LOST),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.state_lost("x")), looks_back=10, known_by=says("state_lost", "")
        ),
    ),
    Case(
        lambda exporter, _: exporter.audit_missing("line 3 is missing"),
        Issue(
            "audit_missing",
            DEGRADED,
            "the audit log is not what it was: line 3 is missing",
            None,
            WallTime(NOW),
            critical(AUDIT_MISSING),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.audit_missing("x")), looks_back=10, known_by=says("audit_missing", "")
        ),
    ),
)
