"""What earlier runs left: the champion and the journal. Both are read and not touched."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.clock import MarketTime
from nightdesk_core.journal.file import holds_anything
from nightdesk_core.journal.journal import Journal, JournalError, journal_path, read_journal
from nightdesk_core.models.bundle import BundleError, Manifest

from nightdesk import home
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings


def check_champion(settings: Settings) -> str:
    """Return which model is in use.

    Raises `SetupError` where another strategy made it, `BundleError` or `RegistryError` where the bot would refuse it.
    """
    from nightdesk_retrain import load_pipeline
    from nightdesk_trendbot.model import MetaModel

    registry = home.registry(settings)
    champion = registry.champion()
    if champion is None:
        return "none yet: `nightdesk retrain --bootstrap` installs a first one"
    strategy = Manifest.read(registry.bundle(champion.version)).strategy
    if strategy != settings.retrain.pipeline:
        raise SetupError(
            f"{champion.version} was made by {strategy}, and retrain.pipeline names {settings.retrain.pipeline}; name "
            "that one, or give the bot another bot.models_dir"
        )
    folder = registry.loadable(champion.version)
    model = load_pipeline(strategy, settings.model_dump(mode="json")).load(folder)
    if isinstance(model, MetaModel) and (refusal := model.refusal(settings.trendbot.entry)):
        raise BundleError(folder, refusal)
    return f"{champion.version}, {champion.standing}"


def check_journal(settings: Settings) -> str:
    """Return how many trades the journal holds.

    Raises `JournalError` where it is damaged, or the bot would refuse to go on from it with these settings.
    """
    from nightdesk_trendbot.live import DecisionLog, log_path

    from nightdesk import life

    if pending := home.lost_state(settings).pending:
        raise SetupError(_lost(pending))
    path = journal_path(home.state_dir(settings), settings.bot.name)
    log = DecisionLog(log_path(home.state_dir(settings), settings.bot.name))
    if not holds_anything(path):
        if why := life.remains(settings, log):
            raise SetupError(_lost(why))
        return "none yet: the bot has not run"
    # A bot that runs goes on meanwhile: what is seen of it beside the journal is held against a later copy.
    with read_journal(path) as journal:
        seen = life.seen(settings, log, since=_last_close(settings, journal, path))
    with read_journal(path) as journal:
        if why := life.why_lost(settings, journal, log, _last_close(settings, journal, path), seen):
            raise SetupError(_lost(why))
        return f"{len(journal.trades())} trades"


def _last_close(settings: Settings, journal: Journal, path: Path) -> MarketTime | None:
    from nightdesk_trendbot.live import restored

    try:
        found = restored(journal, settings.trendbot)
    except JournalError as error:
        raise JournalError(path, error.reason) from error
    return None if found is None else found.last_close


def _lost(why: str) -> str:
    return (
        f"the bot has lived and its state is gone: {why}; put its state folder back while it is stopped, or start it"
        " and let it begin anew with `nightdesk resume --lost-state --reason ...`"
    )
