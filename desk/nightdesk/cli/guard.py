"""Commands about the performance guard: what its limits are worth for a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from nightdesk_core.errors import NightdeskError

from nightdesk import home
from nightdesk.cli.choice import load_settings
from nightdesk.terminal import document, say

if TYPE_CHECKING:
    from nightdesk_core.models.registry import ModelRegistry
    from nightdesk_guard.profile import Delay, GuardProfile, Measured

    from nightdesk.settings import Settings

app = typer.Typer(help="The performance guard.", no_args_is_help=True)


_RULES = (
    ("win rate of {window} trades below", "win_rate", ".1%"),
    ("trades lost in a row", "losing_streak", "d"),
    ("drawdown", "drawdown", ".1%"),
    ("CUSUM of wins", "win_cusum", ".2f"),
    ("CUSUM of returns", "return_cusum", ".2f"),
)


class NoModelError(NightdeskError):
    """There is no model whose hold-out could be looked at."""

    exit_code = 2


@app.callback()
def _guard() -> None:
    """Keep `calibrate` a command of its own, though it is the only one."""


@app.command()
def calibrate(
    context: typer.Context,
    version: Annotated[str | None, typer.Option("--version", help="Another model than the champion.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in full precision.")] = False,
) -> None:
    """Print what the guard's limits are worth for a model: how often they alarm falsely, how soon they catch a decay.

    From the model's hold-out, resampled; for the documented limits and for those that the hold-out calls for. Changes
    nothing: the bot reads the limits that the retrain job stored in the bundle. Exit code 2 without a model.

    Examples:

    [bold]nightdesk guard calibrate[/bold]

    [bold]nightdesk --set guard.false_pauses_a_year=2 guard calibrate --version v20261123T000742Z-974590ac --json[/bold]
    """
    from nightdesk_guard import profile
    from nightdesk_retrain import read_holdout

    from nightdesk import job
    from nightdesk.cli.probation import chance_of_catching
    from nightdesk.cli.progress import show_progress

    settings = load_settings(context)
    folder = home.registry(settings).bundle(version or _champion(home.registry(settings)))
    stored = profile.read(folder)
    with show_progress("guard") as progress:
        found = job.guard_profile(settings, read_holdout(folder), progress)
    in_force = _in_force(settings, found, stored)
    if as_json:
        content = json.loads(found.to_json())
        document(json.dumps({"version": folder.name, "in_force": in_force, **content}, indent=2) + "\n")
        return
    document(f"{folder.name}: {_promise(found)}\n\n")
    _show(_table(settings, found))
    if found.expected is not None:
        say()
        say(chance_of_catching(settings.guard.probation, found.expected))
    say()
    say(in_force)


def _champion(registry: ModelRegistry) -> str:
    champion = registry.champion()
    if champion is None:
        raise NoModelError("there is no champion yet: run `nightdesk retrain --bootstrap`, or name a model: --version")
    return champion.version


def _in_force(settings: Settings, found: GuardProfile, stored: GuardProfile | None) -> str:
    """Return which limits a bot with this model runs on, and why."""
    if not settings.guard.enabled:
        return "no limits are in force: the guard is switched off (guard.enabled)"
    if settings.guard.limits == "documented":
        return "the documented limits are in force (guard.limits)"
    if stored is None:
        return (
            "the documented limits are in force: the bundle was made without calibrated ones; the next retrain has them"
        )
    if stored.calibrated is None:
        return f"the documented limits are in force; {stored.note}"
    if stored.limits != found.limits:
        return "the calibrated limits in the bundle are in force: they were made with other settings than these here"
    return "the calibrated limits are in force" + (f"; {stored.note}" if stored.note else "")


def _promise(found: GuardProfile) -> str:
    expected, promise = found.expected, found.limits.promise
    if expected is None:
        return found.note
    held = (
        f"{expected.trades} trades in {expected.days} days, {expected.win_rate:.1%} won, {expected.mean_r:+.3f} R each"
    )
    if promise is None:
        return f"{held}\n{found.note}"
    return f"{held}\nshrunk for selection: {promise.win_rate:.1%} won, {promise.mean_r:+.3f} R each"


def _table(settings: Settings, found: GuardProfile) -> list[tuple[str, ...]]:
    """Return rows: a name, and a cell for the documented limits and, where there are any, the calibrated ones."""
    from nightdesk import job

    columns = [job.written_limits(settings), *([found.calibrated] if found.calibrated else [])]
    rows = [("", *(limits.source for limits in columns))]
    for title, tier in (("PAUSED", "paused"), ("REDUCED", "reduced")):
        rows.append((f"{title} from",))
        tiers = [getattr(limits, tier) for limits in columns]
        for name, rule, style in _RULES:
            label = name.format(window=settings.guard.window_trades)
            rows.append((f"  {label}", *(_number(getattr(limits, rule), style) for limits in tiers)))
    if found.measured is not None:
        measured = [found.measured[limits.source] for limits in columns]
        rows += [(title, *(cell(each) for each in measured)) for title, cell in _MEASURED]
    return rows


def _number(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)


def _rate(a_year: float, standard_error: float) -> str:
    return f"{a_year:.2f} ± {standard_error:.2f}"


def _trades(delay: Delay | None, tier: Literal["paused", "reduced"]) -> str:
    """Return a median number of trades; of a model that promises nothing to lose, a dash."""
    if delay is None:
        return "-"
    trades = delay.paused if tier == "paused" else delay.reduced
    return f"more than {delay.simulated}" if trades is None else str(trades)


_MEASURED: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ("false alarms in a year, all rules together", lambda _: ""),
    ("  PAUSED", lambda found: _rate(found.false_pauses_a_year, found.false_pauses_standard_error)),
    ("  REDUCED or worse", lambda found: _rate(found.false_reductions_a_year, found.false_reductions_standard_error)),
    ("trades until a win rate down by a third is caught, median", lambda _: ""),
    ("  by PAUSED", lambda found: _trades(found.fewer_wins, "paused")),
    ("  by REDUCED or worse", lambda found: _trades(found.fewer_wins, "reduced")),
    ("trades until an expectancy of zero is caught, median", lambda _: ""),
    ("  by PAUSED", lambda found: _trades(found.no_expectancy, "paused")),
    ("  by REDUCED or worse", lambda found: _trades(found.no_expectancy, "reduced")),
)


def _show(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns as wide as they need."""
    width = max(len(row[0]) for row in rows)
    for name, *cells in rows:
        say(f"{name:{width}}{''.join(f'{cell:>16}' for cell in cells)}".rstrip())
