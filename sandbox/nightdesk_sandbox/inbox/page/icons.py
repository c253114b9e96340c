"""The sign of each channel, drawn here: none of them is anybody's logo."""

from __future__ import annotations

from nightdesk_sandbox.inbox.message import MAIL, Channel
from nightdesk_sandbox.inbox.services import known_services

_DRAWINGS: dict[Channel, str] = {
    # A bubble with two eyes, a hash, a paper plane, two linked nodes, an envelope.
    "discord": (
        '<path d="M4 5h16v11h-8l-5 4v-4H4z"/><circle cx="9" cy="10.5" r="1.4" class="hole"/>'
        '<circle cx="15" cy="10.5" r="1.4" class="hole"/>'
    ),
    "slack": '<path d="M9.5 4 7.5 20M16.5 4l-2 16M4.5 9h16M3.5 15h16" class="line"/>',
    "telegram": '<path d="M3 11.5 21 4l-3.5 16-5.5-4.5-3 3-.5-5L17 7 6.5 13z"/>',
    "webhook": '<circle cx="6" cy="17" r="3"/><circle cx="18" cy="7" r="3"/><path d="M8 15l8-6" class="line"/>',
    "email": '<path d="M3 6h18v12H3z"/><path d="m4 7 8 6 8-6" class="cut"/>',
}


_OTHER = '<path d="M12 3 21 20H3z"/>'
"""The sign of a channel that has none of its own here."""


def channel_names() -> dict[Channel, str]:
    """Return what people call each channel."""
    return {**{service.channel: service.title for service in known_services()}, MAIL: "E-mail"}


def icon(channel: Channel) -> str:
    """Return a channel's sign, which screen readers pass over: its name stands beside it."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{_DRAWINGS.get(channel, _OTHER)}</svg>'
