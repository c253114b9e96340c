"""What a look at a part of the setup brought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightdesk_core.errors import NightdeskError

from nightdesk import extras


class SetupError(NightdeskError):
    """A part of the setup is not in order; the message says what to do."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at; `trouble` is empty where it is in order."""

    subject: str
    trouble: str
    remark: str = ""


def attempt(subject: str, look: Callable[[], str]) -> CheckResult:
    """Return what a look finds: its remark where all is in order, or the trouble that it raises."""
    try:
        return CheckResult(subject, "", look())
    except NightdeskError as error:
        lacking = extras.missing(error.__cause__)  # a strategy that cannot be loaded, for instance
        if lacking is not None:
            return CheckResult(subject, "", f"not looked at: {lacking}")
        return CheckResult(subject, str(error))
    except Exception as error:  # noqa: BLE001 - the top of a job: what one look meets must not hide what others find
        if (lacking := extras.missing(error)) is not None:
            return CheckResult(subject, "", f"not looked at: {lacking}")
        return CheckResult(subject, f"could not be looked at ({type(error).__name__}: {error}); please report this")
