"""Which alert makes which others needless: what `alertmanager/alertmanager.yml` inhibits among the health check's.

Whoever tells people without an Alertmanager tells them the cause alone, too.
"""

from __future__ import annotations

from nightdesk_exporter.health import Alert

_MUTES: dict[str, frozenset[str]] = {
    "TradebotLoopStalled": frozenset(
        {"TradebotExchangeDisconnected", "TradebotCandleStale", "TradebotSnapshotStale", "TradebotModelNotLoaded"}
    ),
    "TradebotExchangeDisconnected": frozenset(
        {"TradebotCandleStale", "TradebotSnapshotStale", "TradebotModelNotLoaded"}
    ),
    "TradebotCandleStale": frozenset({"TradebotSnapshotStale"}),
    "TradebotKillSwitchActive": frozenset({"TradebotNoTrades"}),
    "TradebotGuardPaused": frozenset({"TradebotNoTrades"}),
}
"""By the cause's alertname."""


def mutes(cause: Alert, other: Alert) -> bool:
    """Return whether nobody need hear of `other` while `cause` holds for the same bot."""
    if cause.severity == "critical":
        if other.name == "TradebotUnhealthy" != cause.name:
            return True
        if other.name == cause.name and other.severity != "critical":
            return True
    return other.name in _MUTES.get(cause.name, ())
