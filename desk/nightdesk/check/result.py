"""What a look at a part of the setup brought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightdesk_core.errors import NightdeskError


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
        return CheckResult(subject, str(error))
    except Exception as error:  # noqa: BLE001 - the top of a job: what one look meets must not hide what others find
        return CheckResult(subject, f"could not be looked at ({type(error).__name__}: {error}); please report this")
