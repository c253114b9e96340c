"""The exporter observes, inside the bot: metrics, health, status file. It never raises into the loop, never blocks it.

with BotExporter("btc", symbols=[("BTC/USDT:USDT", "1h")]) as exporter:
    exporter.heartbeat()
"""

from nightdesk_exporter.bot import BotExporter
from nightdesk_exporter.snapshot import Limits, ModelInUse, Position
from nightdesk_exporter.status_file import StatusFile

__all__ = ["BotExporter", "Limits", "ModelInUse", "Position", "StatusFile"]
