"""Which alerts each preference of the requirements document is about. Alertmanager's routes are rendered from these."""

from __future__ import annotations

from nightdesk_alerts.alerting import Alerting

PAUSE_ALERTS = ("TradebotGuardPaused", "TradebotGuardReduced")
KILL_SWITCH_ALERTS = ("TradebotKillSwitchActive",)
ROTATION_ALERTS = ("TradebotModelPromoted", "TradebotModelKept", "TradebotModelRolledBack")


def muted(alerting: Alerting) -> tuple[str, ...]:
    """Return the alerts that nobody wants to hear of, while alerts are on."""
    wanted = {
        PAUSE_ALERTS: alerting.on_pause,
        KILL_SWITCH_ALERTS: alerting.on_kill_switch,
        ROTATION_ALERTS: alerting.on_model_rotation,
    }
    return tuple(name for names, on in wanted.items() if not on for name in names)
