"""Alerts that leave the bot at once: to Alertmanager, or, where there is none or none answers, straight to people.

with AlertSender("btc", alerting=Alerting(alertmanagers=("http://127.0.0.1:9093",))) as sender:
    sender.send_alert("TradebotGuardPaused", severity="critical", summary="The performance guard has paused trading.")
    ...
    sender.withdraw("TradebotGuardPaused")

Each name is loaded when it is first asked for; `requests` and `smtplib` are when a sender starts.

To send: `AlertSender`; `Alerting` says where to, and `Mail` is the one channel with more than an address and a secret.
What became of it: `SENT_PATHS`, `DROP_REASONS`.
What would become of it: `ask_chat` asks a `ChatChannel`, and gets `Moved`, `Refused` or `Later` where nobody would be
told now.
Whether a message arrives: `Drill` sends one that is marked, and gets a `DrillResult` from each place.
A heartbeat to somebody outside: `Heartbeat` says where to, `HeartbeatSender` sends it, a `Beat` at a time; one that
cannot be is a `HeartbeatError`.
What a channel is: `Channel`, or `ChatChannel` where its service can be asked for the chat; its `Role`, and the
`SandboxInbox` that it may write to.
What a person wants: `silenced` names the alerts that nobody wants to hear of; `url_problems` finds a wrong address.

Public submodules:
    catalogue: every alert that there is, and what follows from its declaration
    channels: the places that messages go to, a module each
    moved_chats: chats that have another number than the settings say, for whoever writes to them another way
    mutes: which alert makes which others needless, for whoever sends, and for rules that are written by hand
    reference: the page about every alert, for the documentation
    settings: what `operations.alerts` may say; it loads pydantic
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_alerts.addresses import url_problems
    from nightdesk_alerts.alerting import Alerting
    from nightdesk_alerts.channel import Channel, ChatChannel, Role, SandboxInbox
    from nightdesk_alerts.channels.mail import Mail
    from nightdesk_alerts.delivery.asking import ask_chat
    from nightdesk_alerts.delivery.drill import Drill, DrillResult
    from nightdesk_alerts.delivery.heartbeat_sender import HeartbeatSender
    from nightdesk_alerts.delivery.outcome import DROP_REASONS, SENT_PATHS, Later, Moved, Refused
    from nightdesk_alerts.heartbeat import Beat, Heartbeat, HeartbeatError
    from nightdesk_alerts.preferences import silenced
    from nightdesk_alerts.sender import AlertSender
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_alerts.addresses": ["url_problems"],
            "nightdesk_alerts.alerting": ["Alerting"],
            "nightdesk_alerts.channel": ["Channel", "ChatChannel", "Role", "SandboxInbox"],
            "nightdesk_alerts.channels.mail": ["Mail"],
            "nightdesk_alerts.delivery.asking": ["ask_chat"],
            "nightdesk_alerts.delivery.drill": ["Drill", "DrillResult"],
            "nightdesk_alerts.delivery.heartbeat_sender": ["HeartbeatSender"],
            "nightdesk_alerts.delivery.outcome": ["DROP_REASONS", "SENT_PATHS", "Later", "Moved", "Refused"],
            "nightdesk_alerts.heartbeat": ["Beat", "Heartbeat", "HeartbeatError"],
            "nightdesk_alerts.preferences": ["silenced"],
            "nightdesk_alerts.sender": ["AlertSender"],
        },
    )


__all__ = [
    "DROP_REASONS",
    "SENT_PATHS",
    "AlertSender",
    "Alerting",
    "Beat",
    "Channel",
    "ChatChannel",
    "Drill",
    "DrillResult",
    "Heartbeat",
    "HeartbeatError",
    "HeartbeatSender",
    "Later",
    "Mail",
    "Moved",
    "Refused",
    "Role",
    "SandboxInbox",
    "ask_chat",
    "silenced",
    "url_problems",
]
