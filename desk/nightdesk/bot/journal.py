"""The journal of the bot's process. One that cannot be believed keeps the bot out of the market."""

from __future__ import annotations

from loguru import logger
from nightdesk_core.clock import system_clock
from nightdesk_core.files import set_aside
from nightdesk_core.journal import BESIDE, DamagedJournalError, Journal, JournalError, journal_path
from nightdesk_guard.notices import AUDIT
from nightdesk_trendbot.live import DecisionLog, log_path, restored

from nightdesk import home
from nightdesk.settings import Settings


def open_journal(settings: Settings) -> Journal:
    """Return the bot's journal. One that is damaged is set aside, and the kill switch keeps the bot out of the market.

    Raises `JournalError` where it cannot be used for another reason.
    """
    path = journal_path(home.state_dir(settings), settings.bot.name)
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    try:
        journal = Journal(path)
        try:
            if restored(journal, settings.trendbot) is None and not log.is_empty:
                raise DamagedJournalError(path, "is empty, though its bot has decided on candles")
        except JournalError:
            journal.close()
            raise
    except DamagedJournalError as error:
        # The switch first: killed between the two, the bot must not come back with an empty journal and trade.
        reason = f"the journal was damaged ({error.reason}): what the bot held and earned is not known to it"
        home.kill_switch(settings).activate(reason, actor="bot")
        now = system_clock()
        aside = set_aside(path, now=now, with_suffixes=BESIDE)
        if not log.is_empty:
            log.set_aside(now=now)
        logger.critical(
            "{}; it is set aside as {}. What the bot held is looked after by nobody now: see what the exchange says you"
            " hold, and close it by hand where it must not stay. The bot stays out of the market until"
            " `nightdesk resume --reason ...`",
            error,
            aside,
        )
        return Journal(path)
    if journal.was_unsealed:
        with journal.transaction():
            journal.post(AUDIT, {"event": "journal_sealed", "details": {"journal": path.name}})
        logger.info("{}: every row of it is accounted for from now on; until now damage could pass unseen", path)
    return journal
