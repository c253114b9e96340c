"""`nightdesk run`: the whole stack in the foreground, with a table of the services and a live line for the bot."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from nightdesk_core.reader import InputError
from rich.console import Console
from rich.table import Table

from nightdesk.answer import json_of
from nightdesk.settings import Settings
from nightdesk.stack.running import RunningStack, last_alert, running_stack
from nightdesk.stack.scenarios import Play, Scenario
from nightdesk.stack.supervisor import SupervisorError

_TERMINAL_SECONDS = 0.5
_PLAIN_SECONDS = 5.0


def run(
    settings: Settings,
    *,
    settings_file: Path,
    overrides: Sequence[str],
    seconds: float | None,
    fresh: bool,
    scenario: Scenario | None = None,
) -> bool:
    """Run the stack until Ctrl-C, or for `seconds` once all is up; return whether all was healthy at the end.

    The scenario's own settings are among `settings` and `overrides` already; it begins with a replay of its own.
    Raises `ScenarioError` and what bringing the stack up raises.
    """
    console = Console(highlight=False)
    begun = time.monotonic()

    def say(message: str) -> None:
        _clear_line(console)
        console.print(f"[dim]{time.monotonic() - begun:6.1f} s[/dim]  {message}", soft_wrap=True)

    play = None if scenario is None else Play(scenario, settings, say)
    with _stop_signals() as stopped:
        try:
            with running_stack(
                settings, settings_file=settings_file, overrides=overrides, fresh=fresh or play is not None, say=say
            ) as stack:
                say("all is up")
                console.print(_table(stack))
                deadline = None if seconds is None else time.monotonic() + seconds
                _watch(stack, console, deadline=deadline, stopped=stopped, play=play)
                healthy = _final_word(stack, say)
        except _Stopped:
            say("stopped before all was up")
            return False
        say("stopped")
    return healthy


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM. Like KeyboardInterrupt it passes every handler of errors on its way out."""


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Turn the first SIGINT or SIGTERM into `_Stopped`; later ones are ignored while everything stops in order."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise _Stopped

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(
    stack: RunningStack, console: Console, *, deadline: float | None, stopped: list[int], play: Play | None
) -> None:
    """Show the live line, and play the scenario, until the deadline or a signal."""
    interval = _TERMINAL_SECONDS if console.is_terminal else _PLAIN_SECONDS
    shown = -interval
    try:
        while not stopped and (deadline is None or time.monotonic() < deadline):
            if play is not None:
                play.look()
            if time.monotonic() >= shown + interval:
                shown = time.monotonic()
                _show(live_line(stack.settings), console)
            left = _TERMINAL_SECONDS if deadline is None else min(_TERMINAL_SECONDS, deadline - time.monotonic())
            time.sleep(max(0.0, left))
    except _Stopped:
        pass
    finally:
        if console.is_terminal:
            sys.stdout.write("\n")


def _show(line: str, console: Console) -> None:
    """Show the live line: at a terminal in the place of the last one."""
    if not console.is_terminal:
        console.print(line, soft_wrap=True)
        return
    _clear_line(console)
    sys.stdout.write(line[: console.width - 1])
    sys.stdout.flush()


def _clear_line(console: Console) -> None:
    if console.is_terminal:
        sys.stdout.write("\r\x1b[2K")


def _final_word(stack: RunningStack, say: Any) -> bool:
    try:
        wrong = [state for state in stack.states() if not state.healthy]
    except SupervisorError as error:
        say(str(error))
        return False
    for state in wrong:
        say(f"{state.name} is not well: {state.state}")
    say("stopping; all was healthy" if not wrong else "stopping")
    return not wrong


def _table(stack: RunningStack) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "state", "URL"):
        table.add_column(heading, no_wrap=True)
    for state in stack.states():
        table.add_row(state.name, state.state, state.url)
    return table


def live_line(settings: Settings) -> str:
    """Return one line on the bot: market time, equity, drawdown, guard, regime, model, last alert."""
    try:
        status = json_of(
            requests.get(
                f"{settings.bot_url}/status",
                timeout=2,
                auth=settings.bot_login(),
                verify=settings.bot_trust(),
                stream=True,
            )
        )
    except (requests.RequestException, InputError):
        return f"{settings.bot.name}: does not answer"
    bot, trading, model, risk = status["bot"], status["trading"], status["model"], status["risk"]
    over = " · market closed: the replay is over" if trading["trading_expected"] is False else ""
    parts = [
        (bot["market_time"] or "no candle yet").replace("T", " ").replace(":00Z", ""),
        f"equity {_number(risk['equity'], ',.2f')} {risk['currency']}",
        f"drawdown {_number(risk['drawdown_ratio'], '.2%')}",
        f"guard {trading['guard'] or 'unknown'}" + (" KILLED" if trading["kill_switch"] else ""),
        f"regime {_regimes(trading['regime'])}",
        # The version's end tells models apart; its whole name would fill the line.
        f"model {(model['version'] or 'none').rpartition('-')[2]}"
        + (f" {model['standing']}" if model["standing"] else ""),
        f"last alert: {last_alert(settings)}",
    ]
    return " · ".join(parts) + over


def _regimes(by_symbol: Mapping[str, str]) -> str:
    """Return the regime, of several symbols each with what is traded: `BTC ranging, EUR trending_up`."""
    if len(by_symbol) > 1:
        return ", ".join(f"{symbol.partition('/')[0]} {regime}" for symbol, regime in by_symbol.items())
    return next(iter(by_symbol.values()), "unknown")


def _number(value: float | None, style: str) -> str:
    return "unknown" if value is None else format(value, style)
