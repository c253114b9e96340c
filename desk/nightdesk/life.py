"""How it is known that the bot has lived: its journal says so, and what lies elsewhere, where the journal is gone.

The journal counts the bot's starts. A note in `home` has the same count, written after it, and one beside the models
says only that the bot has begun. So a journal that counts less than the note is new, or a copy from an earlier time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.clock import MarketTime, from_iso, iso
from nightdesk_core.files import stored
from nightdesk_core.files.durable import write_json_atomic
from nightdesk_core.files.reader import InputError
from nightdesk_core.journal.file import HEAD_SUFFIX, holds_anything
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_guard import signs_of_life
from nightdesk_trendbot.live import DecisionLog

from nightdesk import home
from nightdesk.settings import Settings

_KEY = "life"


@dataclass(frozen=True)
class Life:
    """How often the bot was started."""

    starts: int
    bot: str = ""
    """Its name; empty where an earlier release wrote this."""


@dataclass(frozen=True)
class Seen:
    """How far the bot has come, as what lies outside its journal says: its starts, and the last candle, if any."""

    starts: int
    at: MarketTime | None


def seen(settings: Settings, log: DecisionLog, *, since: MarketTime | None) -> Seen:
    """Return what is seen of a bot whose journal ends at `since`, `None` for a journal without a candle."""
    noted = _noted(settings)
    followed = () if since is None else _followed(settings, log, since)
    return Seen(0 if noted is None else noted.starts, max(followed, default=None))


def starts(settings: Settings, journal: Journal) -> int:
    """Return how often the bot was started with this journal.

    0 for a new one, one of an earlier release, and one of another bot.
    """
    kept = _kept(journal)
    return kept.starts if kept.bot in ("", settings.bot.name) else 0


def begin(settings: Settings, journal: Journal) -> None:
    """Count a start, in the journal and then elsewhere. Raises `JournalError`."""
    noted = _noted(settings)
    count = max(starts(settings, journal), 0 if noted is None else noted.starts) + 1
    life = Life(count, settings.bot.name)
    # The journal first: killed in between, it counts more than what lies elsewhere, and never less.
    journal.save(_KEY, stored.plain(life))
    # Notes that a full disk does not take are written at the next start.
    with suppress(OSError):
        for path in (_note(settings), _beside_models(settings)):
            write_json_atomic(path, stored.plain(life))


def why_lost(settings: Settings, journal: Journal, log: DecisionLog, last_close: MarketTime | None, seen: Seen) -> str:
    """Return how it shows that the journal is not the one that the bot last had, empty where it is.

    `last_close` is the last candle that the journal holds, `None` for none. `seen` must be from before the journal was
    read: a bot that runs goes on in between, and writes the journal first.
    """
    count, owner = starts(settings, journal), _kept(journal).bot
    if owner not in ("", settings.bot.name):
        return f"the journal is that of another bot ({owner}): what it holds and has earned is not this one's"
    if seen.starts > count:
        what = "is missing or new" if last_close is None else f"is a copy from an earlier time ({iso(last_close)})"
        return f"the journal {what}: it counts {count} starts of the bot, and {_note(settings)} {seen.starts}"
    if last_close is not None and seen.at is not None and seen.at > last_close:
        ends = f"it ends {iso(last_close)}, and the bot was at {iso(seen.at)}"
        return f"the journal is a copy from an earlier time: {ends}"
    return "" if count or last_close is not None else remains(settings, log)


def remains(settings: Settings, log: DecisionLog) -> str:
    """Return what says that a bot without a journal has lived, empty where nothing does."""
    signs = list(_signs(settings, log))
    return f"the journal is missing or new, though {'; '.join(signs)}" if signs else ""


def _followed(settings: Settings, log: DecisionLog, last_close: MarketTime) -> Iterator[MarketTime]:
    """Yield candles that the bot is known to have journalled since a time."""
    decided = sorted({record.time for record in log.read(since=last_close) if record.time > last_close})
    # The last one is decided on before it is journalled: killed in between, the bot decides on it again.
    yield from decided[:-1]
    if (shown := _shown(settings)) is not None:
        yield shown


def _signs(settings: Settings, log: DecisionLog) -> Iterator[str]:
    """Yield what says that the bot has lived, where its journal does not."""
    if _note(settings).exists():
        yield f"{_note(settings)} counts its starts"
    path = journal_path(home.state_dir(settings), settings.bot.name)
    if not holds_anything(path) and path.with_name(path.name + HEAD_SUFFIX).exists():
        yield f"{path.name}{HEAD_SUFFIX} says where it stood"
    if not log.is_empty:
        yield f"its bot has decided on candles ({log.path.name})"
    if (shown := _shown(settings)) is not None:
        yield f"the status file shows it at {iso(shown)}"
    if _beside_models(settings).exists():
        yield (
            f"it has traded with these models ({_beside_models(settings)}); were they brought from another machine, its"
            " state is there"
        )
    yield from signs_of_life(home.state_dir(settings), home.audit_log(settings))


def _shown(settings: Settings) -> MarketTime | None:
    """Return the last candle that the status file shows of this bot; it is shown once it is journalled."""
    section = home.status_file(settings).read().get("bot")
    if not isinstance(section, dict) or section.get("name") != settings.bot.name:
        return None
    try:
        return MarketTime(from_iso(section["market_time"]))
    except (KeyError, TypeError, ValueError):
        return None


def _note(settings: Settings) -> Path:
    return settings.home / "life" / f"{settings.bot.name}.json"


def _beside_models(settings: Settings) -> Path:
    return settings.path(settings.bot.models_dir) / f"{settings.bot.name}.life.json"


def _kept(journal: Journal) -> Life:
    kept = journal.load(_KEY)
    return Life(0) if kept is None else stored.from_plain(Life, kept, source=str(journal.path))


def _noted(settings: Settings) -> Life | None:
    try:
        return stored.read(Life, _note(settings))
    except InputError:
        return None
