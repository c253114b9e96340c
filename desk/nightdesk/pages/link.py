"""The link that logs a person in at the page server. Loads nothing of the server."""

from __future__ import annotations

from nightdesk_core.clock import WallClock, system_clock

from nightdesk.pages.access import mint_token
from nightdesk.passwords import ensure_password
from nightdesk.settings import Settings


def login_link(settings: Settings, *, clock: WallClock = system_clock) -> str:
    """Return a link that logs in once. Raises `SettingsError` where the page server's password cannot be read."""
    return f"{settings.pages_url}/login?token={mint_token(ensure_password(settings, 'pages'), now=clock())}"
