"""Commands that stop the bot, and let it go on: the kill switch, and the guard's steps back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from nightdesk_core.audit import AuditError
from nightdesk_core.clock import iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import journal_path, read_journal
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import GuardState, GuardStatus, ResumeFile, SmallStore
from nightdesk_trendbot.live import guard_memory

from nightdesk import home
from nightdesk.cli.choice import actor, load_settings
from nightdesk.settings import Settings
from nightdesk.terminal import message, say

app = typer.Typer()

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
) -> None:
    """Stop the bot from entering anything until `nightdesk resume`, and close its positions or leave them.

    The bot obeys within a second, and after a restart. A file named KILL in its state folder does the same; that is put
    there where the switch's own file is held by another process, or cannot be written.

    Examples: [bold]nightdesk kill --reason "the exchange quotes nonsense"[/bold]
    [bold]nightdesk kill --reason holidays --positions keep[/bold]
    """
    settings = load_settings(context)
    chosen = settings.guard.kill_switch.positions if positions is None else positions.value
    state = home.kill_switch(settings).kill(reason, actor=actor(), positions=chosen)
    # The latch holds from here on, whatever becomes of its record.
    what = "closed at fresh prices" if state.positions == "close" else "left to their barriers"
    say(f"the kill switch of {settings.bot.name} is active: {state.reason}")
    say(f"open positions are {what}; nothing is entered until `nightdesk resume --reason ...`")
    if state.actor != "file":  # the bot itself records what it latches
        _record(settings, "kill_switch_activated", stored.plain(state))


@app.command()
def resume(
    context: typer.Context,
    reason: Reason,
    lost_state: Annotated[
        bool, typer.Option("--lost-state", help="Let a bot whose state is gone go on without it, from what is there.")
    ] = False,
) -> None:
    """Lift the kill switch; where it is not active, let the guard climb one step from PAUSED or REDUCED.

    The guard climbs at the first candle after its cool-down, and gets worse again at once where a limit is reached.

    Example: [bold]nightdesk resume --reason "the feed was wrong: what it lost by that is no verdict"[/bold]
    """
    settings = load_settings(context)
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
    say(f"the kill switch of {settings.bot.name} is lifted: it may enter again")
    _record(settings, "kill_switch_lifted", stored.plain(state))
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
