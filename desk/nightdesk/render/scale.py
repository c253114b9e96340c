"""Durations in static configuration as they hold in a replay.

Two forms are durations, and nothing else is: a number with a unit as Prometheus writes it (`2m`, `1h30m`), and a bare
number of seconds that the comment `# seconds` follows at the end of its line.
"""

from __future__ import annotations

import re

from nightdesk_core.clock import TimeScale
from nightdesk_core.units import DAY_SECONDS

_UNIT_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": DAY_SECONDS,
    "w": 7 * DAY_SECONDS,
    "y": 365 * DAY_SECONDS,  # by Prometheus' own definition
}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_DURATION = re.compile(r"\b(?:\d+(?:ms|[smhdwy]))+\b")
_LAST_NUMBER = re.compile(r"\d+(?:\.\d+)?(?=\s*$)")


def scaled_duration(text: str, scale: TimeScale) -> str:
    """Return a duration such as `1h30m` as it holds at this speed, to the millisecond."""
    seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))
    limit = scale.limit(seconds)
    if limit == seconds:
        return text
    milliseconds = round(limit * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def scaled_rules(text: str, scale: TimeScale) -> str:
    """Return a rules file with every duration as it holds at this speed; at speed 1 it is the same to the byte."""
    if scale.speed == 1.0:
        return text
    return "".join(_scaled_line(line, scale) for line in text.splitlines(keepends=True))


def _scaled_line(line: str, scale: TimeScale) -> str:
    code, mark, comment = line.partition("#")
    code = _DURATION.sub(lambda match: scaled_duration(match.group(), scale), code)
    if comment.strip() == "seconds":
        code = _LAST_NUMBER.sub(lambda match: f"{scale.limit(float(match.group())):g}", code)
    return code + mark + comment
