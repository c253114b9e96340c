"""The retrain job: run it, ask for it, or have it run when it is due."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from loguru import logger
from nightdesk_core.clock import iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.settings import SettingsError, validate
from nightdesk_retrain.settings import RetrainSettings

from nightdesk import home
from nightdesk.cli.choice import actor, choice, load_settings
from nightdesk.cli.target import BotName, NoBotError, Target, find_or_new
from nightdesk.logbook import set_up_logs
from nightdesk.passwords import login
from nightdesk.settings import Settings
from nightdesk.terminal import say

if TYPE_CHECKING:
    from nightdesk_retrain import DeflatedSharpe, RetrainOutcome

_REFERENCE = "nightdesk_trendbot.pipeline:TrendPipeline"

app = typer.Typer()
retrain_app = typer.Typer()
app.add_typer(retrain_app, name="retrain")


@retrain_app.callback(invoke_without_command=True)
def retrain(
    context: typer.Context,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Do nothing unless the last run is old enough or one was asked for.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train and judge, but write no model and answer no request.")
    ] = False,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Install a first champion, marked provisional everywhere.")
    ] = False,
    request: Annotated[
        bool, typer.Option("--request", help="Only ask: the schedule takes it up at its next look. Needs --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it is asked for; it is recorded.")] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="Try it on this symbol of `trendbot.symbols` alone; repeatable. A dry run."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the verdict was judged on, what each criterion asks, and why.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help="Train on the workers of a Dask scheduler: tcp://host:8786. Else on all cores."),
    ] = None,
    bot: BotName = None,
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
) -> None:
    """Collect, train, evaluate, and promote the new model only where it proves itself.

    A run answers every request that is pending, whoever asked; a request does not skip the gate.

    Exit codes: 0 done, promoted or kept; 2 configuration; 3 data; 4 training; 5 publishing.

    Examples: [bold]nightdesk retrain --dry-run[/bold]    [bold]nightdesk retrain --if-due[/bold]
    [bold]nightdesk retrain --request --reason "fees have doubled"[/bold]
    [bold]nightdesk retrain --symbol ETH/USDT:USDT --explain[/bold]
    [bold]nightdesk retrain --cluster tcp://10.0.0.5:8786[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    if request != (reason is not None):
        raise typer.BadParameter("--request and --reason belong together")
    if reason is not None:
        if if_due or dry_run or bootstrap or scheduled or symbol or explain or cluster:
            raise typer.BadParameter("--request only asks for a retrain: use it without the other options")
        say(_ask(find_or_new(context, bot), reason))
        return
    settings = load_settings(context)
    if if_due and not home.schedule(settings).look():
        say("no retrain is due")
        return
    if symbol:
        if bootstrap:
            raise typer.BadParameter("--symbol only tries: a champion trades all symbols, and is judged on all")
        settings, dry_run = _only(settings, symbol), True
    if cluster is not None:
        settings = settings.model_copy(update={"retrain": _on(cluster, settings.retrain)})
    outcome = _run(
        settings, trigger="schedule" if if_due or scheduled else "manual", dry_run=dry_run, bootstrap=bootstrap
    )
    if explain:
        from nightdesk_retrain import explain_verdict

        for line in explain_verdict(outcome.to_json()):
            say(line)


@retrain_app.command()
def retire(
    context: typer.Context, bot: Annotated[str, typer.Argument(help="The name of a bot that is no more.")]
) -> None:
    """Have the Pushgateway forget a bot: what a job pushed stays there, and alerts, until somebody says so.

    Example: [bold]nightdesk retrain retire old-btc[/bold]
    """
    from nightdesk_retrain import retire as forget

    settings = load_settings(context)
    gateway = settings.address("pushgateway")
    try:
        forget(gateway=gateway, bot=bot, login=login(settings, "pushgateway"))
    except OSError as error:
        raise NightdeskError(f"the Pushgateway at {gateway} does not answer ({error}); is it running?") from error
    say(f"the Pushgateway at {gateway} knows no {bot} any more")


def _ask(target: Target, reason: str) -> str:
    """Queue a person's request and return what came of it."""
    if target.bot.state_dir is None:
        raise NoBotError(f"{target.label} has no guard, and so no state folder in which a retrain could be asked for")
    request = home.retrain_requests(target.settings).add("manual", reason, actor(), at=time.time())
    if request is None:
        return "it was answered already"  # only by an event of this very moment
    if request.count > 1:
        since = iso(request.requested_at)
        return f"merged into {request.key}, which is pending since {since}: asked for {request.count} times"
    return f"requested: {request.key}; the schedule takes it up at its next look, and the gate decides"


def _only(settings: Settings, symbols: Sequence[str]) -> Settings:
    """Return the settings with these symbols alone."""
    if settings.retrain.pipeline != _REFERENCE:
        raise typer.BadParameter(f"--symbol is for the reference strategy; the pipeline is {settings.retrain.pipeline}")
    if unknown := [symbol for symbol in symbols if symbol not in settings.trendbot.symbols]:
        known = ", ".join(settings.trendbot.symbols)
        raise typer.BadParameter(f"--symbol {unknown[0]} is none of trendbot.symbols: {known}")
    bot = settings.trendbot.model_copy(update={"symbols": tuple(dict.fromkeys(symbols))})
    return settings.model_copy(update={"trendbot": bot})


def _on(cluster: str, retrain: RetrainSettings) -> RetrainSettings:
    """Return the settings with a cluster."""
    try:
        return validate(RetrainSettings, {**retrain.model_dump(), "cluster": cluster}, source="--cluster")
    except SettingsError as error:
        raise typer.BadParameter(f"--cluster {cluster} is no address: write it as tcp://host:port") from error


def _run(
    settings: Settings, *, trigger: Literal["schedule", "manual"], dry_run: bool, bootstrap: bool
) -> RetrainOutcome:
    """Run the job, print its verdict and return it."""
    set_up_logs("retrain", settings)
    home.close_to_others(settings)
    from nightdesk_retrain.job import run as run_job

    from nightdesk import job
    from nightdesk.cli.progress import show_progress

    with show_progress("retrain") as progress, job.job_parts(settings, progress) as parts:
        outcome = run_job(parts, trigger=trigger, dry_run=dry_run, bootstrap=bootstrap)
    say(f"{outcome.decision}: {outcome.version}: {outcome.reason}")
    if outcome.requests:
        say(f"  answers {', '.join(outcome.requests)}")
    for criterion in outcome.ruling.criteria:
        value = "not measured" if criterion.value is None else f"{criterion.value:.4g}"
        say(f"  {'met   ' if criterion.passed else 'missed'}  {criterion.name:30} {value:>12}  {criterion.wording}")
    if outcome.outperformance_probability is not None:
        say(f"  the probability that it is better than the champion is {outcome.outperformance_probability:.1%}")
    say(f"  {_deflated(outcome.deflated)}")
    if outcome.standing == "probation":
        _say_probation(settings, outcome.version)
    return outcome


def _deflated(found: DeflatedSharpe) -> str:
    tried = "it is the first trial"
    if found.trials > 1:
        tried = (
            f"{found.trials} trials so far count as {found.effective_trials}; "
            f"the best of so many shows {found.benchmark:.2f} by luck"
        )
    if found.probability is None:
        return f"its deflated Sharpe ratio cannot be told: it did not trade ({tried})"
    return f"its deflated Sharpe ratio, the probability that it is truly above 0, is {found.probability:.1%} ({tried})"


def _say_probation(settings: Settings, version: str) -> None:
    from nightdesk_guard import profile

    from nightdesk.cli.probation import chance_of_catching

    known = profile.read(home.registry(settings).folder / version)
    if known is not None and known.expected is not None:
        say(chance_of_catching(settings.guard.probation, known.expected))


@app.command()
def schedule(context: typer.Context) -> None:
    """Look regularly whether a retrain is due or asked for, and run it: what cron does, where there is no cron."""
    from nightdesk.stack.supervisor import dying_with_parent

    settings = load_settings(context)
    chosen = choice(context)
    set_up_logs("schedule", settings, to_file=False)
    home.close_to_others(settings)
    interval = settings.scale.limit(settings.retrain.check_interval_hours * 3600)
    logger.info("looking every {:g} s whether a retrain is due", interval)
    sets = [part for assignment in chosen.overrides for part in ("--set", assignment)]
    command = [sys.executable, "-m", "nightdesk", "--settings", str(chosen.file), *sets, "retrain", "--scheduled"]
    look = home.schedule(settings).look
    while True:
        if look():
            # Ended with the schedule: cut off, a retrain begins anew; outliving its stack, it is an orphan.
            code = subprocess.run(dying_with_parent(command, signal="TERM"), check=False).returncode
            logger.log("INFO" if code == 0 else "ERROR", "the retrain ended with exit code {}", code)
        time.sleep(interval)
