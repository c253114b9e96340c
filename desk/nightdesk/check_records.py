"""What earlier runs left: the champion and the journal. Both are read and not touched."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from nightdesk_core.bundle import BundleError, Manifest
from nightdesk_core.journal import Journal, JournalError, journal_path

from nightdesk import wiring
from nightdesk.finding import SetupError
from nightdesk.settings import Settings

_BUSY_SECONDS = 5.0


def check_champion(settings: Settings) -> str:
    """Return which model is in use.

    Raises `SetupError` where another strategy made it, `BundleError` or `RegistryError` where the bot would refuse it.
    """
    from nightdesk_retrain.job import load_pipeline
    from nightdesk_trendbot.model import MetaModel

    registry = wiring.registry(settings)
    champion = registry.champion()
    if champion is None:
        return "none yet: `nightdesk retrain --bootstrap` installs a first one"
    folder = registry.bundle(champion.version)
    strategy = Manifest.read(folder).strategy
    if strategy != settings.retrain.pipeline:
        raise SetupError(
            f"{champion.version} was made by {strategy}, and retrain.pipeline names {settings.retrain.pipeline}; name "
            "that one, or give the bot another bot.models_dir"
        )
    model = load_pipeline(strategy, settings.model_dump(mode="json")).load(folder)
    if isinstance(model, MetaModel) and (refusal := model.refusal(settings.trendbot.entry)):
        raise BundleError(folder, refusal)
    return f"{champion.version}, {champion.standing}"


def check_journal(settings: Settings) -> str:
    """Return how many trades the journal holds.

    Raises `JournalError` where it is damaged, or the bot would refuse to go on from it with these settings.
    """
    from nightdesk_trendbot.market import restored

    path = journal_path(wiring.state_dir(settings), settings.bot.name)
    if not path.exists():
        return "none yet: the bot has not run"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        try:
            _copy(path, copy)
            with closing(Journal(copy)) as journal:
                restored(journal, settings.trendbot)
                return f"{len(journal.trades())} trades"
        except sqlite3.Error as error:
            raise JournalError(
                path, f"is damaged or in use ({error}); see what else uses it, or set it aside"
            ) from error
        except JournalError as error:
            raise JournalError(path, error.reason) from error


def _copy(path: Path, copy: Path) -> None:
    """Copy a database as it stands between two transactions; opened for itself it could be changed."""
    # Without a log beside it nobody has it open, and nothing needs to be put beside it to read it.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    with (
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=_BUSY_SECONDS)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
