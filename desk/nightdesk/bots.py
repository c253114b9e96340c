"""The bots that are known on this machine: what their exporters and guards have said of themselves, put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nightdesk_core.bots.folder import bots_folder
from nightdesk_core.bots.record import BotRecord, found_records
from nightdesk_core.clock import WallTime, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_guard import is_present, last_seen

_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - an exporter's own words for every interface


@dataclass(frozen=True, kw_only=True)
class Bot:
    """A bot, running or stopped. `None` is a part that it does not have, or that is not known."""

    name: str
    state_dir: Path | None = None
    """Its guard's."""
    guards: bool = False
    """Whether its guard lives."""
    status_file: Path | None = None
    url: str | None = None
    serves: bool = False
    """Whether its exporter lives, as far as that can be seen from here."""
    killed: bool = False
    """Whether a part of it has ended without saying so, or lives where that cannot be seen from here."""
    pids: tuple[int, ...] = ()
    """Of its parts, as they saw themselves: in a container they are that container's."""
    started_at: WallTime | None = None

    @property
    def alive(self) -> bool:
        """Whether any part of it lives."""
        return self.guards or self.serves

    @property
    def place(self) -> str:
        """What tells it apart from another of the same name."""
        return str(self.state_dir or self.status_file or self.url or "")


_Exporter = tuple[BotRecord, bool]
"""An exporter, and whether it lives."""
_Guard = tuple[BotRecord, Bot]
"""A guard, and what its state folder says of its bot."""


@dataclass(frozen=True)
class KnownBots:
    """Bots by name, the living first, and what is wrong with records that are not gone by."""

    bots: tuple[Bot, ...]
    problems: tuple[str, ...]


def known_bots() -> KnownBots:
    """Return the bots of this machine and user. A folder that cannot be read is one of the problems."""
    now = system_clock()
    try:
        found = list(found_records(bots_folder()))
    except (NightdeskError, OSError) as error:
        return KnownBots((), (str(error),))
    problems = [f"{each.path}: {each.problem}" for each in found if each.problem]
    exporters: list[_Exporter] = []
    guards: list[_Guard] = []
    for each in found:
        record = each.record
        if record is None:
            continue
        if record.part == "exporter":
            exporters.append((record, each.alive))
        elif (folder := _state_dir(record, each.path.parent)) is not None:
            bot = bot_in(folder, name=record.name, now=now)
            guards.append((record, replace(bot, started_at=record.started_at)))
        else:
            problems.append(f"{record.name}: its state folder {record.state_dir} is gone, or is another's now")
    return KnownBots(tuple(sorted(_joined(guards, exporters), key=_order)), tuple(problems))


def bot_in(state_dir: Path, *, name: str | None = None, now: WallTime | None = None) -> Bot:
    """Return the bot whose guard has a state folder, as that tells."""
    seen = last_seen(state_dir)
    alive = is_present(state_dir, now=system_clock() if now is None else now)
    known_as = name or ("" if seen is None else seen.name) or state_dir.resolve().name
    return Bot(
        name=known_as,
        state_dir=state_dir.resolve(),
        guards=alive,
        killed=seen is not None and seen.running and not alive,
        pids=() if seen is None else (seen.pid,),
    )


def _state_dir(record: BotRecord, records: Path) -> Path | None:
    """Return the state folder that a record is about: where it was, or on the same volume as the records."""
    places = [Path(record.state_dir)]
    if record.state_dir_from_here:
        places.append(records / record.state_dir_from_here)
    for place in places:
        seen = last_seen(place)
        if seen is not None and seen.id == record.state_id:
            return place
    return None


def _joined(guards: Sequence[_Guard], exporters: Sequence[_Exporter]) -> Iterator[Bot]:
    """Yield each guard with the exporter of its bot, and the exporters of bots that have none."""
    left = sorted(exporters, key=lambda part: (part[1], part[0].started_at.seconds), reverse=True)
    matched: dict[int, _Exporter] = {}
    # The exporter that began and ended with the guard; of those that remain, one of the same name.
    for together in (True, False):
        for index, (guard, bot) in enumerate(guards):
            if index in matched:
                continue
            for part in left:
                own = (part[0].pid, part[1]) == (guard.pid, bot.guards) or not together
                if part[0].name == bot.name and own:
                    matched[index] = part
                    left.remove(part)
                    break
    for index, (_, bot) in enumerate(guards):
        yield _with_exporter(bot, *matched[index]) if index in matched else bot
    seen: set[tuple[str, str]] = set()
    for record, alive in left:
        key = (record.name, record.status_file)
        # One that has ended and left nothing can neither be asked nor told anything.
        if alive or (record.status_file and key not in seen):
            yield _with_exporter(Bot(name=record.name, started_at=record.started_at), record, alive)
        seen.add(key)


def _with_exporter(bot: Bot, record: BotRecord, alive: bool) -> Bot:  # noqa: FBT001 - a pair, taken apart
    return replace(
        bot,
        status_file=Path(record.status_file) if record.status_file else None,
        url=_reachable(record.url) or None,
        serves=alive,
        killed=bot.killed or (record.ended_at is None and not alive),
        pids=tuple(dict.fromkeys((*bot.pids, record.pid))),
    )


def _reachable(url: str) -> str:
    for every, one in _HERE.items():
        url = url.replace(f"//{every}:", f"//{one}:")
    return url


def _order(bot: Bot) -> tuple[bool, str, str]:
    return not bot.alive, bot.name, bot.place
