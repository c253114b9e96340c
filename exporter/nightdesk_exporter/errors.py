"""The exporter's error tree: ExporterError, below NightdeskError."""

from __future__ import annotations

from nightdesk_core.errors import NightdeskError


class ExporterError(NightdeskError):
    """The exporter could not start. Once it runs, it never raises into the bot's loop."""
