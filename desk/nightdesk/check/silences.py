"""What of critical alerts Alertmanager keeps from people."""

from __future__ import annotations

from nightdesk_core.clock import WallClock, system_clock
from nightdesk_core.units import DAY_SECONDS

from nightdesk.answers import AnswerError
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings


def check_silences(settings: Settings, *, clock: WallClock = system_clock) -> str:
    """Return each silence and inhibition of a critical alert, and who set it.

    Raises `SetupError` where one is silenced for longer than a day, or all are.
    """
    from nightdesk.silences import look  # loads RE2, which a light install does not have

    try:
        muted = look(settings)
    except AnswerError as error:
        return f"not known: {error}"
    found = "; ".join(muted.sentences())
    bot = settings.bot.name
    if muted.silenced_ratio(bot) >= 1 or muted.silenced_seconds(bot, now=clock()) > DAY_SECONDS:
        raise SetupError(f"{found}; `nightdesk amtool silence expire ID` ends what should not be")
    return found or "no critical alert is silenced or inhibited"
