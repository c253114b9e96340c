"""The exporter observes, inside the bot: metrics, health, status, logs, alerts. It never raises into the loop.

with BotExporter("btc", symbols=[("BTC/USDT:USDT", "1h")]) as exporter:
    while True:
        exporter.heartbeat()
        ...
"""

from nightdesk_exporter.alerts import Alerting, Mail
from nightdesk_exporter.bot import BotExporter
from nightdesk_exporter.snapshot import Limits
from nightdesk_exporter.status_file import StatusFile

__all__ = ["Alerting", "BotExporter", "Limits", "Mail", "StatusFile"]
