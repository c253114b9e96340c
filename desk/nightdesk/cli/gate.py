"""Commands about the promotion gate: what its rules are worth."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from nightdesk_core.units import DAYS_A_YEAR

from nightdesk import home
from nightdesk.cli.choice import load_settings
from nightdesk.terminal import document, say

if TYPE_CHECKING:
    from nightdesk_retrain.judgement.power import Chance, Power, Setup

app = typer.Typer(help="The promotion gate.", no_args_is_help=True)


@app.callback()
def _gate() -> None:
    """Keep `power` a command of its own, though it is the only one."""


@app.command()
def power(
    context: typer.Context,
    days: Annotated[
        int | None, typer.Option("--days", min=5, help="Days in common; `retrain.holdout_days` by default.")
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option("--correlation", min=-1, max=1, help="Of the two models' daily returns; measured by default."),
    ] = None,
    level: Annotated[
        list[float] | None,
        typer.Option("--level", help="The champion's true Sharpe ratio; repeatable. 0, 1 and 2 by default."),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="How many retrains are simulated.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulation.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in full precision.")] = False,
) -> None:
    """Print how likely the gate promotes a candidate that is truly worse, as good, or better than the champion.

    By one retrain and in a year; by the comparison with the champion alone, and by every criterion together. Simulated
    with the settings at hand. How the models trade, and how alike they are, comes from the newest bundles.

    Examples:

    [bold]nightdesk gate power --days 365[/bold]

    [bold]nightdesk --set retrain.outperformance_confidence=0.9 gate power --correlation 0.8 --level 1 --json[/bold]
    """
    from nightdesk_retrain import luck_of_trials, measured_correlation, measured_pace
    from nightdesk_retrain.judgement.power import REFERENCE_CORRELATION, REFERENCE_PACE, Setup
    from nightdesk_retrain.judgement.power import power as simulate

    from nightdesk.cli.progress import show_progress

    settings = load_settings(context)
    registry = home.registry(settings)
    alike, alike_from = REFERENCE_CORRELATION, "the reference strategy's, as no bundle here holds a comparison"
    if correlation is not None:
        alike, alike_from = correlation, "as told"
    elif measured := measured_correlation(registry):
        alike, alike_from = measured
    pace, pace_from = measured_pace(registry) or (
        REFERENCE_PACE,
        "the reference strategy's, as no bundle here holds trades",
    )
    setup = Setup(
        days=round(settings.retrain.holdout_days) if days is None else days,
        correlation=alike,
        pace=pace,
        rotation=settings.operations.model_rotation,
        retrain=settings.retrain,
        luck=luck_of_trials(home.state_dir(settings)),
    )
    levels = list(dict.fromkeys(level or (0.0, 1.0, 2.0)))
    with show_progress("gate") as progress:
        found = simulate(setup, levels=levels, draws=draws, seed=seed, progress=progress)
    if as_json:
        content = {
            "days": setup.days,
            "correlation": {"value": alike, "source": alike_from},
            "pace": {**asdict(pace), "source": pace_from},
            "tries_a_year": setup.tries_a_year,
            "draws": draws,
            "seed": seed,
            "power": [asdict(row) for row in found],
        }
        document(json.dumps(content, indent=2) + "\n")
        return
    say(f"{setup.days} days in common, {setup.tries_a_year:.3g} tries a year")
    say(f"correlation {alike:.3g}: {alike_from}")
    volatility = pace.daily_volatility_ratio * math.sqrt(DAYS_A_YEAR)
    say(f"{pace.trades_a_day:.3g} trades a day, {volatility:.1%} volatility a year: {pace_from}")
    say()
    for line in _report(setup, found):
        say(line)


def _report(setup: Setup, found: Sequence[Power]) -> Iterator[str]:
    levels = list(found[0].joint)
    yield "chance of promotion, by one retrain / by at least one of a year's"
    yield f"{'':15}{'the relative rule alone':{14 * len(levels)}}{'every criterion'}"
    yield _line("true difference", [f"champion {level:g}" for level in (*levels, *levels)])
    for row in found:
        chances = (*row.relative.values(), *row.joint.values())
        yield _line(f"{row.difference:+.1f}", [_cell(chance) for chance in chances])
    error = max(chance.standard_error for row in found for chance in (*row.relative.values(), *row.joint.values()))
    yield ""
    yield f"A retrain's chance has a standard error of up to {error:.1%}. A year's is a bound: it takes the tries for"
    yield "independent, and where their hold-outs overlap they pass or fail together."
    if setup.rotation.require_outperformance and setup.days < setup.retrain.min_common_days:
        yield f"Nothing is promoted: {setup.retrain.min_common_days:g} days are needed (retrain.min_common_days)."
    if setup.retrain.min_deflated_sharpe is not None:
        luck = setup.luck * math.sqrt(DAYS_A_YEAR)
        yield f"The deflated Sharpe ratio counts (retrain.min_deflated_sharpe): the trials show {luck:.2f} by luck."
    if not setup.rotation.require_outperformance:
        yield "The relative rule is switched off (operations.model_rotation.require_outperformance)."


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:15}{''.join(f'{cell:>14}' for cell in cells)}"


def _cell(chance: Chance) -> str:
    return f"{chance.a_retrain:.1%} / {chance.a_year:.0%}"
