"""Which alerts a person does not want to hear of. Alertmanager's routes are rendered from these."""

from __future__ import annotations

from nightdesk_alerts.alerting import Alerting
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_alerts.catalogue.declaration import Preference


def silenced_by(preference: Preference) -> tuple[str, ...]:
    """Return the names of the alerts that a preference is about."""
    return tuple(alert.name for alert in ALERTS if alert.preference is preference)


def silenced(alerting: Alerting) -> tuple[str, ...]:
    """Return the alerts that nobody wants to hear of, while alerts are on."""
    wanted = {
        Preference.PAUSE: alerting.on_pause,
        Preference.KILL_SWITCH: alerting.on_kill_switch,
        Preference.MODEL_ROTATION: alerting.on_model_rotation,
    }
    return tuple(name for preference, on in wanted.items() if not on for name in silenced_by(preference))
