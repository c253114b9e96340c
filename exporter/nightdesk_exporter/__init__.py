"""The exporter observes, inside the bot: metrics, health, status, logs, alerts. It never raises into the loop.

with BotExporter("btc", symbols=[("BTC/USDT:USDT", "1h")]) as exporter:
    exporter.model("v1", trained_at=...)
    while True:
        exporter.heartbeat()
        exporter.candle("BTC/USDT:USDT", "1h", close_time=...)
        exporter.decision("BTC/USDT:USDT")
        exporter.equity(...)

Each name is loaded when it is first asked for (PEP 562): who wants a `StatusFile` loads neither the Prometheus client
nor the server. The server is loaded when an exporter begins to serve, the page when somebody first looks at it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightdesk_alerts import Alerting, Mail

    from nightdesk_exporter.bot import BotExporter
    from nightdesk_exporter.snapshot import Limits
    from nightdesk_exporter.status_file import StatusFile
else:
    _MODULES = {
        "Alerting": "nightdesk_alerts",
        "BotExporter": "nightdesk_exporter.bot",
        "Limits": "nightdesk_exporter.snapshot",
        "Mail": "nightdesk_alerts",
        "StatusFile": "nightdesk_exporter.status_file",
    }

    # Hidden from mypy, which would take any name for one that is there.
    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_MODULES[name]), name)
        return found

    def __dir__():
        return sorted({*globals(), *_MODULES})


__all__ = ["Alerting", "BotExporter", "Limits", "Mail", "StatusFile"]
