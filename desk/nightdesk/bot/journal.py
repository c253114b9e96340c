"""The journal of the bot's process. One that is lost, or cannot be believed, keeps the bot out of the market."""

from __future__ import annotations

import os
from pathlib import Path

from loguru import logger
from nightdesk_core.clock import MarketTime, system_clock
from nightdesk_core.files.durable import set_aside
from nightdesk_core.journal.file import holds_anything
from nightdesk_core.journal.journal import BESIDE, DamagedJournalError, Journal, journal_path
from nightdesk_guard import LostState
from nightdesk_guard.notices import AUDIT
from nightdesk_trendbot.live import DecisionLog, log_path, restored

from nightdesk import home, life
from nightdesk.settings import Settings


def open_journal(settings: Settings) -> Journal:
    """Return the bot's journal.

    One that is damaged is set aside, and one that is not the bot's last is taken as it is; either way the kill switch
    keeps the bot out of the market. Raises `JournalError` where it cannot be used for another reason.
    """
    path = journal_path(home.state_dir(settings), settings.bot.name)
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    if not holds_anything(path):
        _note_loss(settings, path, log)
    try:
        journal = Journal(path)
        try:
            found = restored(journal, settings.trendbot)
            _take_up(settings, journal, log, None if found is None else found.last_close)
        except BaseException:
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
        journal = Journal(path)
        life.begin(settings, journal)
        return journal
    if journal.was_unsealed:
        with journal.transaction():
            journal.post(AUDIT, {"event": "journal_sealed", "details": {"journal": path.name}})
        logger.info("{}: every row of it is accounted for from now on; until now damage could pass unseen", path)
    return journal


def _note_loss(settings: Settings, path: Path, log: DecisionLog) -> None:
    """Of a journal that is gone or empty, note the loss where there is one, and set aside what is left beside it."""
    lost = LostState(home.state_dir(settings))
    if lost.known() is None and (why := life.remains(settings, log)):
        lost.find(why)
    now = system_clock()
    for suffix in BESIDE:
        if os.path.lexists(part := path.with_name(path.name + suffix)):
            set_aside(part, now=now)


def _take_up(settings: Settings, journal: Journal, log: DecisionLog, last_close: MarketTime | None) -> None:
    """Count a start of the bot, unless its state is lost: then it stays out of the market until a person answers."""
    lost = LostState(home.state_dir(settings))
    known, count = lost.known(), life.starts(settings, journal)
    why = life.why_lost(settings, journal, log, last_close, life.seen(settings, log, since=last_close))
    # A journal that was put back counts more starts than what was found in its place.
    if known is not None and not known.accepted and (why or count <= known.starts):
        why = known.reason
    elif known is not None:
        why = "" if known.accepted else why
        lost.forget()
    if not why:
        life.begin(settings, journal)
        return
    lost.find(why, starts=count)
    logger.critical(
        "the bot has lived and its state is gone: {}. It stays out of the market until its state is put back, or until"
        " `nightdesk resume --lost-state --reason ...` lets it begin anew",
        why,
    )
