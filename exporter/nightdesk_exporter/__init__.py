"""The exporter observes, inside the bot: metrics, health, status, logs, alerts. It never raises into the loop.

with BotExporter("btc", symbols=[("BTC/USDT:USDT", "1h")]) as exporter:
    exporter.model("v1", trained_at=...)
    while True:
        exporter.heartbeat()
        exporter.candle("BTC/USDT:USDT", "1h", close_time=...)
        exporter.decision("BTC/USDT:USDT")
        exporter.equity(...)

Each name is loaded when it is first asked for: who wants a `StatusFile` loads neither the Prometheus client nor the
server. The server is loaded when an exporter begins to serve, the page when somebody first looks at it.

For a bot: `BotExporter`, and `Limits` of what is too old, too much or too little; `HUNG_EXIT_CODE`, what its process
ends with where it was told to end when its loop hangs; `PushTo`, a Pushgateway and how often it is pushed to.
Where its alerts go: `Alerting`, with `Mail`; where it reports that it is well: `Heartbeat`.
For a job beside it: `StatusFile`, of which it replaces its own section, and `is_stale`, whether a section's writer has
gone silent.
For a check of the setup: `read_web_config`, which reads the web configuration file as the server will, and
`host_problems`, what is wrong with names for `allowed_hosts`.

Public submodules:
    alerts: alerts of a bot's own, under the name that they had here first
    metrics.families: sample families by the catalogue of metrics, for a job that publishes its own
    log_bridges: its log and the bot's own joined, by the standard library's logging or by structlog
    logs: logging to the console and to JSON lines, without secrets
    metrics.reference: the page about every metric, for the documentation
    settings: what `operations.limits` and `operations.logs` may say; it loads pydantic
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_alerts import Alerting, Heartbeat, Mail

    from nightdesk_exporter.bot import BotExporter
    from nightdesk_exporter.health.hang_watch import HUNG_EXIT_CODE
    from nightdesk_exporter.push import PushTo
    from nightdesk_exporter.snapshot import Limits
    from nightdesk_exporter.status_file import StatusFile, is_stale
    from nightdesk_exporter.web.allowed_hosts import host_problems
    from nightdesk_exporter.web.config_file import read_web_config
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_alerts": ["Alerting", "Heartbeat", "Mail"],
            "nightdesk_exporter.bot": ["BotExporter"],
            "nightdesk_exporter.health.hang_watch": ["HUNG_EXIT_CODE"],
            "nightdesk_exporter.push": ["PushTo"],
            "nightdesk_exporter.snapshot": ["Limits"],
            "nightdesk_exporter.status_file": ["StatusFile", "is_stale"],
            "nightdesk_exporter.web.allowed_hosts": ["host_problems"],
            "nightdesk_exporter.web.config_file": ["read_web_config"],
        },
    )


__all__ = [
    "HUNG_EXIT_CODE",
    "Alerting",
    "BotExporter",
    "Heartbeat",
    "Limits",
    "Mail",
    "PushTo",
    "StatusFile",
    "host_problems",
    "is_stale",
    "read_web_config",
]
