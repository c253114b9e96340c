"""What the page is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightdesk_core.clock import WallTime

from nightdesk_exporter.curve import Point
from nightdesk_exporter.snapshot import Limits


@dataclass(frozen=True)
class View:
    """The bot as of `now`: the status file's sections, the curve's points oldest first, and the limits."""

    status: Mapping[str, Mapping[str, Any]]
    points: Sequence[Point]
    limits: Limits
    now: WallTime
