"""Which bot a command is about: the one that is named, that of the settings' home, or the only one that there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from nightdesk_core.errors import NightdeskError
from nightdesk_core.text import line

from nightdesk import home
from nightdesk.bots import Bot, bot_in, known_bots
from nightdesk.cli.choice import choice
from nightdesk.settings import Settings
from nightdesk.terminal import say

BotName = Annotated[
    str | None,
    typer.Option(
        "--bot",
        envvar="NIGHTDESK_BOT",
        help="Which bot: its name, as `nightdesk bots` lists it, or its state folder.",
    ),
]


class NoBotError(NightdeskError):
    """There is no bot that could hear: nothing was done."""

    exit_code = 6


class SeveralBotsError(NightdeskError):
    """More than one bot may be meant: nothing was done."""

    exit_code = 2


@dataclass(frozen=True)
class Target:
    """A bot, and the settings by which what lies in its folders is found: `bot.state_dir` and `bot.name` are its."""

    bot: Bot
    settings: Settings
    at_home: bool
    """Whether it is the bot of the settings' own home."""
    namesakes: tuple[Bot, ...] = ()
    """Other bots that live and have the same name."""

    @property
    def label(self) -> str:
        """How people know it: by its name, where that can mean no other, else with its folder."""
        if self.at_home and not self.namesakes:
            return self.bot.name
        return f"{self.bot.name} ({self.bot.place})"

    def say_which(self) -> None:
        """Name other bots that live and have its name."""
        for other in self.namesakes:
            say(f"another {self.bot.name} runs in {other.place}: it goes on; name it with --bot {other.place}")


def find(context: typer.Context, wanted: str | None) -> Target:
    """Return the bot that a command is about: one that runs, or has run.

    Raises `NoBotError`, `SeveralBotsError`, `SettingsError`.
    """
    chosen = choice(context)
    settings = chosen.load(may_be_missing=True)
    found = known_bots()
    known, problems = found.bots, found.problems
    own = _own(settings, known)
    others = [bot for bot in known if bot.state_dir is None or own is None or bot.state_dir != own.state_dir]
    candidates = [*([own] if own is not None else []), *others]
    if wanted is not None:
        bot = _named(wanted, candidates, problems)
    elif own is not None and chosen.file.exists():
        bot = _at_home(own, others)
    elif "name" in settings.bot.model_fields_set:
        bot = _named(settings.bot.name, candidates, problems)
    else:
        bot = _only(candidates, problems)
    namesakes = tuple(each for each in candidates if each.alive and each.name == bot.name and each is not bot)
    return Target(bot, settings if bot is own else _settings_of(bot, settings), bot is own, namesakes)


def find_or_new(context: typer.Context, wanted: str | None) -> Target:
    """Return what `find` does; where there is no bot, the one that will run in the home of the settings file.

    For commands that look, or that leave something for it.
    """
    try:
        return find(context, wanted)
    except NoBotError:
        chosen = choice(context)
        if wanted is not None or not chosen.file.exists():
            raise
        settings = chosen.load()
        folder, status_file = home.state_dir(settings), home.status_file(settings).path
        return Target(Bot(name=settings.bot.name, state_dir=folder, status_file=status_file), settings, at_home=True)


def _own(settings: Settings, known: Sequence[Bot]) -> Bot | None:
    """Return the bot of the settings' home, `None` where none has ever run there."""
    folder, status_file = home.state_dir(settings).resolve(), home.status_file(settings).path
    if not status_file.exists() and not _holds_anything(folder):
        return None
    for bot in known:
        if bot.state_dir == folder:
            return replace(bot, name=settings.bot.name)
    own = replace(bot_in(folder), name=settings.bot.name)
    return replace(own, status_file=status_file)


def _holds_anything(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except PermissionError:  # another user's: it is theirs to say what lies there, and not nothing
        return True
    except OSError:
        return False


def _at_home(own: Bot, others: Iterable[Bot]) -> Bot:
    """Return the bot of the home, unless it is stopped and another of its name lives."""
    namesakes = [bot for bot in others if bot.alive and bot.name == own.name]
    if namesakes and not own.alive:
        raise SeveralBotsError(
            f"{own.name} in {own.place} does not run, and another {own.name} does: say which\n"
            f"{_listed([own, *namesakes])}"
        )
    return own


def _named(wanted: str, known: Sequence[Bot], problems: Sequence[str]) -> Bot:
    if found := [bot for bot in known if bot.name == wanted]:
        return _one_of(found)
    folder = Path(wanted).expanduser().resolve()
    if found := [bot for bot in known if bot.state_dir == folder]:
        return _one_of(found)
    if _is_state_folder(folder):
        return bot_in(folder)
    raise NoBotError(f"no bot {line(wanted)} is known here, and nothing was done.\n{_what_there_is(known, problems)}")


def _only(known: Sequence[Bot], problems: Sequence[str]) -> Bot:
    if not known:
        raise NoBotError(
            "no bot of this user is known on this machine, and nothing was done.\n" + _what_there_is(known, problems)
        )
    return _one_of(known)


def _one_of(found: Sequence[Bot]) -> Bot:
    """Return the one that lives, or the only one that is stopped."""
    alive = [bot for bot in found if bot.alive] or list(found)
    if len(alive) == 1:
        return alive[0]
    raise SeveralBotsError(
        f"{len(alive)} bots may be meant, and nothing was done; say which: --bot NAME, or --bot FOLDER\n"
        f"{_listed(alive)}"
    )


def _what_there_is(known: Sequence[Bot], problems: Sequence[str]) -> str:
    lines = [f"known are:\n{_listed(known)}"] if known else []
    lines += [line(problem) for problem in problems]
    lines.append(
        "A bot of another user, or in a container, is named by its state folder: --bot FOLDER. Where a bot must stop"
        " now and has none, end its process"
    )
    return "\n".join(lines)


def _listed(bots: Iterable[Bot]) -> str:
    return "\n".join(f"{line(bot.name)}  {'runs' if bot.alive else 'stopped'}  {line(bot.place)}" for bot in bots)


def _is_state_folder(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("presence.json", "guard.lock", "kill_switch.json"))


def _settings_of(bot: Bot, settings: Settings) -> Settings:
    """Return the settings with a bot's own name and places."""
    operations = settings.operations
    # A bot without a guard has no state folder, and then nothing that lies in it.
    folder = bot.state_dir or settings.home / "none"
    status = bot.status_file or folder / "bot_status.json"
    return settings.model_copy(
        update={
            "bot": settings.bot.model_copy(update={"name": bot.name, "state_dir": folder}),
            "operations": operations.model_copy(update={"status_file_path": status}),
        }
    )
