"""Values as people read them: ages, money, shares. What is not known is said to be unknown, never shown as 0."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nightdesk_core.clock import WallTime
from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.page.html import Html, escaped

UNKNOWN = Html('<span class="unknown">unknown</span>')

_TIME = Html('<time datetime="{}" title="{}">{}</time>')
_MINUTE, _HOUR, _DAY = 60, 3_600, DAY_SECONDS
_JUST_NOW_SECONDS = 2
_UNTRIMMED_DAYS = 2
"""From so many days on nobody asks for the hours."""


def span(seconds: float) -> str:
    """Return a length of time in the one or two units that matter, such as `3 min` or `5 h 12 min`."""
    whole = int(max(0.0, seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _UNTRIMMED_DAYS * _DAY:
        minutes = whole % _HOUR // _MINUTE
        return f"{whole // _HOUR} h" + (f" {minutes} min" if minutes else "")
    return f"{whole // _DAY} days"


def ago(seconds: float) -> str:
    """Return how long ago something was; what lies ahead, as by a clock that was set back, is said to."""
    if seconds < -_JUST_NOW_SECONDS:
        return f"in {span(-seconds)}"
    return "just now" if seconds < _JUST_NOW_SECONDS else f"{span(seconds)} ago"


def moment(value: Any) -> datetime | None:
    """Return the time that a status section names, or `None` where it names none."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def exact(at: datetime) -> str:
    """Return a time in full, such as `2019-10-17 09:00:00 UTC`."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def time_tag(at: datetime, shown: str) -> Html:
    """Return `shown` as a time whose exact value can be asked for."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return _TIME.format(stamp, exact(at), shown)


def age(value: Any, *, now: WallTime) -> Html:
    """Return how long before `now` a section's time lies, in words."""
    at = moment(value)
    return UNKNOWN if at is None else time_tag(at, ago(now.seconds - at.timestamp()))


def lasting(value: Any, *, now: WallTime) -> Html:
    """Return how long something has been so, of which a section says since when."""
    at = moment(value)
    if at is None:
        return UNKNOWN
    seconds = now.seconds - at.timestamp()
    return time_tag(at, "just now" if seconds < _JUST_NOW_SECONDS else f"for {span(seconds)}")


def date(value: Any) -> Html:
    """Return the day and minute of a section's time: for market time, whose age would mean nothing in a replay."""
    at = moment(value)
    return UNKNOWN if at is None else time_tag(at, at.strftime("%Y-%m-%d %H:%M UTC"))


def said(value: Any) -> Html:
    """Return somebody's words."""
    return escaped(value) if value not in (None, "") else UNKNOWN


def term(value: Any) -> Html:
    """Return one of the catalogue's words, such as `trending_up`, as people write it."""
    return said(value if value is None else str(value).replace("_", " "))


def number(value: Any, form: str = ",.2f") -> Html:
    """Return a number, with a minus that is as wide as a plus."""
    return UNKNOWN if value is None else escaped(format(value, form).replace("-", "\N{MINUS SIGN}"))


def money(value: Any, currency: Any) -> Html:
    """Return an amount with its currency."""
    return UNKNOWN if value is None else Html("{} {}").format(number(value), said(currency))


def share(value: Any, *, signed: bool = False, places: int = 2) -> Html:
    """Return a ratio in percent."""
    if value is None:
        return UNKNOWN
    percent = round(value * 100, places) + 0.0  # no minus before a zero
    return number(percent, f"{'+' if signed and percent else ''},.{places}f") + " %"


def limit(ratio: float) -> Html:
    """Return a limit in percent, as round as it is."""
    return number(ratio * 100, ",.4g") + " %"
