"""The exporter observes, inside the bot: metrics, health, status, logs, alerts. It never raises into the loop.

with BotExporter("btc", symbols=[("BTC/USDT:USDT", "1h")]) as exporter:
    exporter.model("v1", trained_at=...)
    while True:
        exporter.heartbeat()
        exporter.candle("BTC/USDT:USDT", "1h", close_time=...)
        exporter.decision("BTC/USDT:USDT")
        exporter.equity(...)
"""

from typing import TYPE_CHECKING

from nightdesk_alerts import Alerting

from nightdesk_exporter.bot import BotExporter
from nightdesk_exporter.snapshot import Limits
from nightdesk_exporter.status_file import StatusFile

if TYPE_CHECKING:
    from nightdesk_alerts import Mail
else:

    def __getattr__(name: str) -> object:
        """Load mail where somebody wants it."""
        if name == "Mail":
            from nightdesk_alerts import Mail

            return Mail
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Alerting", "BotExporter", "Limits", "Mail", "StatusFile"]
