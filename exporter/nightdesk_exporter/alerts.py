"""Alerts of a bot's own: the sender and its settings, as `nightdesk_alerts` has them."""

from nightdesk_alerts import Alerting, AlertSender, Mail

__all__ = ["AlertSender", "Alerting", "Mail"]
