"""The exporter's error tree, below NightdeskError.

ExporterError
└── WebConfigError
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nightdesk_core.errors import NightdeskError


class ExporterError(NightdeskError):
    """The exporter could not start. Once it runs, it never raises into the bot's loop."""


class WebConfigError(ExporterError):
    """The web configuration file cannot be used. `problems` has a line for each thing wrong, with its key."""

    exit_code = 2

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{path} cannot be used:", *(f"  {problem}" for problem in problems)]))
