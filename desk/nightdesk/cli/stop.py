"""Commands that stop the bot, and let it go on: the kill switch, and the guard's steps back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from nightdesk_core.audit import AuditError
from nightdesk_core.clock import iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import journal_path, read_journal
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import (
    GuardState,
    GuardStatus,
    KillSwitchState,
    ResumeFile,
    SmallStore,
    is_present,
    last_seen,
)
from nightdesk_trendbot.live import guard_memory

from nightdesk import home
from nightdesk.bots import Bot
from nightdesk.cli.choice import actor
from nightdesk.cli.target import BotName, NoBotError, Target, find
from nightdesk.settings import Settings
from nightdesk.terminal import message, say

app = typer.Typer()

_WAIT_SECONDS = 5.0
"""A bot that waits by its guard looks twice a second."""
_LOOK_SECONDS = 0.1

Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]


class Positions(StrEnum):
    """What becomes of open positions."""

    CLOSE = "close"
    KEEP = "keep"


@app.command()
def kill(
    context: typer.Context,
    reason: Reason,
    positions: Annotated[
        Positions | None,
        typer.Option("--positions", help="What becomes of open positions; else as guard.kill_switch.positions says."),
    ] = None,
    bot: BotName = None,
) -> None:
    """Stop a bot from entering anything until `nightdesk resume`, and close its positions or leave them.

    The bot is that of the settings file's home; in any other folder the one that runs, or the one that `--bot` names.
    It obeys within a second, and after a restart, and says that it has heard. A file named KILL in its state folder
    does the same; that is put there where the switch's own file is held by another process, or cannot be written.

    Exit code 6 where no guard hears it, and 2 where more than one bot may be meant.

    Examples: [bold]nightdesk kill --reason "the exchange quotes nonsense"[/bold]
    [bold]nightdesk kill --bot mine --reason holidays --positions keep[/bold]
    """
    target = find(context, bot)
    folder = _guarded(target)
    chosen = _positions(target, folder) if positions is None else positions.value
    state = home.kill_switch(target.settings).kill(reason, actor=actor(), positions=chosen)
    # The latch holds from here on, whatever becomes of its record.
    say(f"the kill switch of {target.label} is {'active' if target.bot.guards else 'latched'}: {state.reason}")
    what = "closed at fresh prices" if state.positions == "close" else "left to their barriers"
    say(f"open positions are {what}; nothing is entered until `nightdesk resume --reason ...`")
    target.say_which()
    if state.actor != "file":  # the bot itself records what it latches
        _record(target.settings, "kill_switch_activated", stored.plain(state))
    if not target.bot.alive:
        say(f"{target.bot.name} is not running: it will stay out of the market when it starts")
    elif _is_heard(folder, state):
        say(f"{target.bot.name} has heard it")
    elif target.bot.guards or is_present(folder, now=system_clock()):
        say(
            f"{target.bot.name} runs and has not answered within {_WAIT_SECONDS:g} s: it obeys once its loop looks at"
            f" its guard; where the loop hangs, end its process{_processes(target.bot)}"
        )
    else:
        raise NoBotError(
            f"no guard lives in {folder}, though a process of {target.bot.name} runs{_processes(target.bot)}: it may"
            " trade on. End that process; the switch is latched, and keeps the bot out when it starts with its guard"
        )


def _guarded(target: Target) -> Path:
    """Return the state folder of a bot's guard. Raises `NoBotError` where it has none: nobody would hear."""
    if target.bot.state_dir is None:
        raise NoBotError(
            f"{target.label} has no guard, so nobody would hear, and nothing was done: it trades on. To stop it, end"
            f" its process{_processes(target.bot)}"
        )
    return target.bot.state_dir


def _processes(bot: Bot) -> str:
    """Return the numbers of a bot's processes as a remark."""
    return f" ({', '.join(map(str, bot.pids))}, as it sees itself)" if bot.pids else ""


def _positions(target: Target, folder: Path) -> Literal["close", "keep"]:
    """Return what becomes of open positions where nobody says: by the settings, or as a bot of one's own was made."""
    seen = None if target.at_home else last_seen(folder)
    return target.settings.guard.kill_switch.positions if seen is None else seen.positions


def _is_heard(folder: Path, state: KillSwitchState) -> bool:
    """Return whether the bot's own guard has looked at a switch that was moved; waits for it, not for long."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        seen = last_seen(folder)
        if seen is not None and seen.running and seen.has_seen(state):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_SECONDS)


@app.command()
def resume(
    context: typer.Context,
    reason: Reason,
    lost_state: Annotated[
        bool, typer.Option("--lost-state", help="Let a bot whose state is gone go on without it, from what is there.")
    ] = False,
    bot: BotName = None,
) -> None:
    """Lift the kill switch; where it is not active, let the guard climb one step from PAUSED or REDUCED.

    The guard climbs at the first candle after its cool-down, and gets worse again at once where a limit is reached.

    Example: [bold]nightdesk resume --reason "the feed was wrong: what it lost by that is no verdict"[/bold]
    """
    target = find(context, bot)
    folder, settings = _guarded(target), target.settings
    target.say_which()
    switch = home.kill_switch(settings)
    if lost_state:
        _accept_loss(settings, reason)
        if not switch.state().active:
            return
    elif pending := home.lost_state(settings).pending:
        raise NightdeskError(
            f"{settings.bot.name} has lived and its state is gone ({pending}): it knows neither what it holds nor what"
            " it earned. Put its state folder back while it is stopped; or put its account in order, and let it begin"
            " anew with `nightdesk resume --lost-state --reason ...`"
        )
    if not switch.state().active and (guard := _guard(settings)).status is not GuardStatus.NORMAL:
        _let_climb(settings, guard, reason)
        return
    state = switch.resume(reason, actor=actor())
    # The switch needs no journal to be lifted: that may be the very thing that is broken.
    say(f"the kill switch of {target.label} is lifted: it may enter again")
    _record(settings, "kill_switch_lifted", stored.plain(state))
    if target.bot.guards and _is_heard(folder, state):
        say(f"{target.bot.name} has heard it")
    if (guard := _guard(settings)).status is not GuardStatus.NORMAL:
        say(f"its guard is {guard.status}: `nightdesk resume` once more lets that climb, too")


def _accept_loss(settings: Settings, reason: str) -> None:
    """Record that a bot goes on without its state, and let it; nothing is done that cannot be recorded."""
    lost, log, anchors = home.lost_state(settings), home.audit_log(settings), home.audit_anchors(settings)
    pending = lost.pending
    if not reason.strip():
        raise NightdeskError("a reason is needed: say why with --reason")
    if pending:
        try:
            log.refuse_loss(anchors)
        except AuditError:
            log.renew(reason, actor=actor(), anchors=anchors)
            say(f"{log.path} was lost, too, and begins anew")
        log.append("state_loss_accepted", {"reason": reason.strip(), "lost": pending}, actor=actor())
    lost.accept()
    say(f"{settings.bot.name} goes on without what it lost ({pending}), from what is there")


def _let_climb(settings: Settings, guard: GuardState, reason: str) -> None:
    word = ResumeFile(home.state_dir(settings)).give(reason, actor=actor())
    ends = guard.since + settings.guard.cool_down_days * DAY_SECONDS
    say(
        f"the guard of {settings.bot.name} climbs from {guard.status} to {guard.status.better}"
        f" at its first candle from {iso(ends)} on (market time)"
    )
    _record(settings, "guard_resume_given", asdict(word))


def _record(settings: Settings, event: str, details: Mapping[str, Any]) -> None:
    """Record what was done; where that fails it is said, for what was done holds all the same."""
    try:
        home.audit_log(settings).append(event, details, actor=actor())
    except (NightdeskError, OSError) as error:
        message(f"nightdesk: it holds, but the audit log has no record of it: {error}")


def _guard(settings: Settings) -> GuardState:
    """Return how the guard stands: the reference bot's, or one of a bot of one's own."""
    folder = home.state_dir(settings)
    path = journal_path(folder, settings.bot.name)
    if not path.exists():
        return SmallStore(folder).memory().performance
    with read_journal(path) as journal:
        memory = guard_memory(journal)
        return (SmallStore(folder, journal).memory() if memory is None else memory).performance
