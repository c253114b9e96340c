"""What the heartbeat to the outside says of a bot's health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightdesk_exporter.health.issues import Health, Verdict

if TYPE_CHECKING:
    from nightdesk_alerts import Beat


def beat_of(name: str, health: Health) -> tuple[Beat | None, str]:
    """Return what `/healthz` says, as a beat with words for people; `None` while nothing is known yet.

    The words are those of the alerts, without a number: what goes outside tells nobody how much was lost.
    """
    from nightdesk_alerts import Beat

    if health.verdict is Verdict.UNKNOWN:
        return None, ""
    worst = [issue for issue in health.issues if issue.verdict is health.verdict]
    said = dict.fromkeys(issue.alert.summary if issue.alert else f"{issue.name}." for issue in worst)
    beat = Beat.DOWN if health.verdict is Verdict.UNHEALTHY else Beat.UP
    return beat, " ".join([f"{name}: {health.verdict}.", *said])
