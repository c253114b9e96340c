"""The command line. Heavy libraries are loaded by the command that needs them, never before."""

from __future__ import annotations

import getpass
import json
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from loguru import logger
from nightdesk_core.clock import iso
from nightdesk_core.errors import NightdeskError
from nightdesk_exporter import logs

from nightdesk import settings as settings_module
from nightdesk import wiring
from nightdesk.settings import Settings

app = typer.Typer(
    name="nightdesk",
    help="The night desk of a trading bot: it watches, throttles, retrains, and wakes a person only when it must.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sandbox_app = typer.Typer(help="The stand-ins for the outside world.", no_args_is_help=True)
stack_app = typer.Typer(help="The services of a running `nightdesk run`.", no_args_is_help=True)
models_app = typer.Typer(help="The model registry.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit log.", no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(stack_app, name="stack")
app.add_typer(models_app, name="models")
app.add_typer(audit_app, name="audit")

Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="Only this symbol, as ccxt writes it.")]
Since = Annotated[str | None, typer.Option("--since", help="Market time, UTC: 2019-05-01 or 2019-05-01T12:00.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, in full precision.")]
Service = Annotated[str, typer.Argument(help="The service's name, as in the table of `nightdesk run`.")]


class _Choice:
    """The settings that the command line chose, loaded once they are needed."""

    def __init__(self, file: Path, overrides: list[str]) -> None:
        self.file = file
        self.overrides = overrides

    def load(self) -> Settings:
        return settings_module.load(self.file, self.overrides)


@app.callback()
def _choose(
    context: typer.Context,
    settings: Annotated[
        Path, typer.Option("--settings", envvar="NIGHTDESK_SETTINGS", help="The settings file.")
    ] = Path("nightdesk.yml"),
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set stack.ports.bot=9000. Repeatable.")
    ] = None,
) -> None:
    context.obj = _Choice(settings, assignments or [])


def _settings(context: typer.Context) -> Settings:
    choice: _Choice = context.obj
    return choice.load()


@app.command()
def run(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option("--for", help="Stop by itself this many seconds after all is up.", min=1)
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set the last replay aside and begin anew.")] = False,
) -> None:
    """Run the whole stack here: bot, Prometheus, Alertmanager, Pushgateway, sandbox, retrain schedule. Ctrl-C stops it.

    Examples: [bold]nightdesk run[/bold]    [bold]nightdesk run --for 60[/bold]    [bold]nightdesk run --fresh[/bold]
    """
    from nightdesk.run import run as run_stack

    choice: _Choice = context.obj
    healthy = run_stack(
        choice.load(), settings_file=choice.file.resolve(), overrides=choice.overrides, seconds=seconds, fresh=fresh
    )
    raise typer.Exit(0 if healthy else 1)


@app.command()
def tools(context: typer.Context) -> None:
    """Put Prometheus, Alertmanager, Pushgateway and their tools under `home`, where the PATH has no good ones."""
    from nightdesk.tools import ensure_tools

    settings = _settings(context)
    found = ensure_tools(settings.home, progress=lambda message: typer.echo(message, err=True))
    for name, path in asdict(found).items():
        typer.echo(f"{name:16} {path}")


@app.command()
def bot(context: typer.Context) -> None:
    """Run the reference bot on paper until it is told to stop."""
    import asyncio
    import signal

    settings = _settings(context)
    logs.set_up("bot", folder=settings.home / "logs")

    async def until_stopped() -> None:
        with wiring.live_bot(settings) as live:
            trading = asyncio.create_task(live.run())
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, trading.cancel)
            try:
                await trading
            except asyncio.CancelledError:
                logger.info("stopped; the journal goes on from here")

    asyncio.run(until_stopped())


@app.command()
def retrain(
    context: typer.Context,
    if_due: Annotated[bool, typer.Option("--if-due", help="Do nothing unless the last run is old enough.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and judge, but write no model.")] = False,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Install a first champion, marked provisional everywhere.")
    ] = False,
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
) -> None:
    """Collect, train, evaluate, and promote the new model only where it proves itself.

    Exit codes: 0 done, promoted or kept; 2 configuration; 3 data; 4 training; 5 publishing.

    Examples: [bold]nightdesk retrain --dry-run[/bold]    [bold]nightdesk retrain --if-due[/bold]
    """
    settings = _settings(context)
    if if_due and not _look(settings):
        typer.echo("no retrain is due")
        return
    logs.set_up("retrain", folder=settings.home / "logs")
    from nightdesk_retrain.job import run as run_job

    from nightdesk.progress import show_progress

    with show_progress("retrain") as progress:
        outcome = run_job(
            wiring.job_parts(settings, progress),
            trigger="schedule" if if_due or scheduled else "manual",
            dry_run=dry_run,
            bootstrap=bootstrap,
        )
    typer.echo(f"{outcome.decision}: {outcome.version}: {outcome.reason}")
    for criterion in outcome.ruling.criteria:
        value = "not measured" if criterion.value is None else f"{criterion.value:.4g}"
        typer.echo(
            f"  {'met   ' if criterion.passed else 'missed'}  {criterion.name:30} {value:>12}  {criterion.wording}"
        )


def _look(settings: Settings) -> bool:
    from nightdesk_retrain.schedule import look

    return look(
        wiring.state_dir(settings),
        bot=settings.bot.name,
        gateway=settings.address("pushgateway"),
        interval_seconds=settings.scale.limit(settings.operations.model_rotation.retrain_frequency_days * 86_400),
    )


@app.command()
def schedule(context: typer.Context) -> None:
    """Look regularly whether a retrain is due, and run it: what cron does, where there is no cron."""
    import subprocess

    from nightdesk.supervisor import dying_with_parent

    settings = _settings(context)
    choice: _Choice = context.obj
    logs.set_up("schedule")
    interval = settings.scale.limit(settings.retrain.check_interval_hours * 3600)
    logger.info("looking every {:g} s whether a retrain is due", interval)
    sets = [part for assignment in choice.overrides for part in ("--set", assignment)]
    command = [sys.executable, "-m", "nightdesk", "--settings", str(choice.file), *sets, "retrain", "--scheduled"]
    while True:
        if _look(settings):
            # Ended with the schedule: cut off, a retrain begins anew; outliving its stack, it is an orphan.
            code = subprocess.run(dying_with_parent(command, signal="TERM"), check=False).returncode
            logger.log("INFO" if code == 0 else "ERROR", "the retrain ended with exit code {}", code)
        time.sleep(interval)


@app.command()
def kill(context: typer.Context, reason: Reason) -> None:
    """Stop the bot from entering anything until `nightdesk resume`. An open position keeps its barriers."""
    settings = _settings(context)
    state = wiring.kill_switch(settings).activate(reason, actor=getpass.getuser())
    wiring.audit_log(settings).append("kill_switch_activated", asdict(state), actor=getpass.getuser())
    typer.echo(f"the kill switch of {settings.bot.name} is active: {state.reason}")


@app.command()
def resume(context: typer.Context, reason: Reason) -> None:
    """Lift the kill switch."""
    settings = _settings(context)
    state = wiring.kill_switch(settings).resume(reason, actor=getpass.getuser())
    wiring.audit_log(settings).append("kill_switch_lifted", asdict(state), actor=getpass.getuser())
    typer.echo(f"{settings.bot.name} may enter again")


@app.command()
def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print the file as it is.")] = False
) -> None:
    """Print the status file, and say which of its sections have gone stale. Exit code 1 where one has."""
    settings = _settings(context)
    file = wiring.status_file(settings)
    content = file.read()
    sections = {name: section for name, section in content.items() if isinstance(section, dict)}
    if not sections:
        raise NightdeskError(f"{file.path} says nothing yet: is the bot running?")
    stale = [name for name, section in sections.items() if time.time() > section["stale_after"]]
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        for name, section in sections.items():
            typer.echo(f"{name}  ({'STALE since' if name in stale else 'as of'} {iso(section['updated_at'])})")
            for key, value in section.items():
                if key not in ("updated_at", "stale_after"):
                    typer.echo(f"  {key:28} {_brief(value)}")
    raise typer.Exit(1 if stale else 0)


def _brief(value: Any) -> str:
    if value is None:
        return "unknown"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


@app.command()
def trades(context: typer.Context, symbol: Symbol = None, since: Since = None, as_csv: AsCsv = False) -> None:
    """Print the bot's closed trades, oldest first.

    Example: [bold]nightdesk trades --since 2019-05-01 --csv > trades.csv[/bold]
    """
    from nightdesk_core.journal import Journal, journal_path

    from nightdesk.reports import market_time, show, trade_row

    settings = _settings(context)
    after = market_time(since) - 1
    path = journal_path(wiring.state_dir(settings), settings.bot.name)
    if not path.exists():
        raise NightdeskError(f"there is no journal at {path}: has the bot run?")
    with closing(Journal(path)) as journal:
        found = [trade for trade in journal.trades(closed_after=after) if symbol in (None, trade.symbol)]
    show([trade_row(trade) for trade in found], as_csv=as_csv)


@app.command()
def decisions(context: typer.Context, symbol: Symbol = None, since: Since = None, as_csv: AsCsv = False) -> None:
    """Print what the bot decided on each candle and why, oldest first.

    Example: [bold]nightdesk decisions --symbol BTC/USDT:USDT --since 2019-05-01[/bold]
    """
    from nightdesk_trendbot.decisions import DecisionLog, log_path

    from nightdesk.reports import decision_row, market_time, show

    settings = _settings(context)
    log = DecisionLog(log_path(wiring.state_dir(settings), settings.bot.name))
    show([decision_row(record) for record in log.read(symbol=symbol, since=market_time(since))], as_csv=as_csv)


@app.command()
def check(context: typer.Context) -> None:
    """Check a whole setup: settings, servers' configuration, strategy, champion, journal, audit log. Changes nothing.

    Exit code 2 where something is wrong.
    """
    from nightdesk.check import check as check_setup

    settings = _settings(context)
    typer.echo("ok     settings")
    wrong = 0
    for finding in check_setup(settings, say=lambda message: typer.echo(message, err=True)):
        wrong += bool(finding.trouble)
        said = finding.trouble or finding.remark
        typer.echo(f"{'WRONG' if finding.trouble else 'ok':6} {finding.subject}{f': {said}' if said else ''}")
    raise typer.Exit(2 if wrong else 0)


@app.command("settings")
def show_settings(context: typer.Context) -> None:
    """Print every setting as it holds, defaults included, secrets masked."""
    typer.echo(yaml.safe_dump(_settings(context).model_dump(mode="json"), sort_keys=False), nl=False)


@app.command()
def render(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; `rendered` in `home` by default.")] = None,
) -> None:
    """Write the configuration of Prometheus, Alertmanager and Grafana from the static files and the settings."""
    from nightdesk.render import render as render_all

    settings = _settings(context)
    target = out or settings.home / "rendered"
    render_all(settings, out=target)
    typer.echo(f"rendered into {target}")


@sandbox_app.command()
def exchange(context: typer.Context) -> None:
    """Serve the replay exchange."""
    from nightdesk_sandbox.server import run_exchange

    settings = _settings(context)
    logs.set_up("exchange")
    run_exchange(settings.sandbox, home=settings.home, host=settings.listen_host, port=settings.port("exchange"))


@sandbox_app.command()
def inbox(context: typer.Context) -> None:
    """Serve the inbox for webhooks and mail."""
    from nightdesk_sandbox.server import run_inbox

    settings = _settings(context)
    logs.set_up("inbox")
    run_inbox(
        settings.sandbox,
        home=settings.home,
        host=settings.listen_host,
        port=settings.port("inbox"),
        smtp_port=settings.port("smtp"),
    )


@sandbox_app.command()
def fault(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The fault, or `clear` to end all; an unknown name lists them.")],
    seconds: Annotated[float, typer.Option("--seconds", help="How long it lasts.", min=0.1)] = 10.0,
    parameters: Annotated[
        list[str] | None, typer.Option("--with", help="A parameter of the fault: --with offset_seconds=30. Repeatable.")
    ] = None,
) -> None:
    """Switch a fault of the running replay exchange on, or all off.

    Examples: [bold]nightdesk sandbox fault drop --seconds 5[/bold]    [bold]nightdesk sandbox fault clear[/bold]
    """
    import requests

    url = f"http://{_settings(context).address('exchange')}/sandbox/fault"
    body: dict[str, Any] = {"name": name, "seconds": seconds}
    for parameter in parameters or []:
        key, _, value = parameter.partition("=")
        body[key] = yaml.safe_load(value)
    try:
        answer = requests.delete(url, timeout=5) if name == "clear" else requests.post(url, json=body, timeout=5)
    except requests.RequestException as error:
        raise NightdeskError(f"the replay exchange does not answer at {url}: is the stack running?") from error
    if not answer.ok:
        raise NightdeskError(answer.json()["error"])
    active = answer.json()["faults"]
    typer.echo("active: " + (", ".join(f"{found} for {left:.0f} s" for found, left in active.items()) or "none"))


def _supervisor(context: typer.Context) -> Any:
    from nightdesk.supervisor import SupervisorClient, socket_path

    return SupervisorClient(socket_path(_settings(context).home / "run"))


@stack_app.command("status")
def stack_status(context: typer.Context) -> None:
    """Print the state of each service."""
    for state in _supervisor(context).states():
        typer.echo(f"{state.name:16} {state.state:10} {state.pid or ''}")


@stack_app.command("stop")
def stack_stop(context: typer.Context, service: Service) -> None:
    """Stop one service, so that it stays down."""
    _supervisor(context).stop(service)


@stack_app.command("start")
def stack_start(context: typer.Context, service: Service) -> None:
    """Start one service again."""
    _supervisor(context).start(service)


@models_app.command("list")
def models_list(context: typer.Context) -> None:
    """List the model bundles, oldest first; the champion is marked."""
    registry = wiring.registry(_settings(context))
    champion = registry.champion()
    for manifest in registry.manifests():
        mark = f"<- {champion.standing}" if champion is not None and champion.version == manifest.version else ""
        typer.echo(
            f"{manifest.version}  trained {iso(manifest.trained_at)}  data until {iso(manifest.data_end)}  {mark}"
        )


@audit_app.command("verify")
def audit_verify(context: typer.Context) -> None:
    """Check the audit log's chain of hashes."""
    head = wiring.audit_log(_settings(context)).verify()
    typer.echo(f"{head.length} entries, intact; head {head.digest}")
    typer.echo("a tail that was cut off shows only against an earlier head and length")


def main() -> None:
    """Run the command line; what a person can act on is one message and an exit code, never a traceback."""
    try:
        app(prog_name="nightdesk")
    except NightdeskError as error:
        typer.echo(f"nightdesk: {error}", err=True)
        sys.exit(error.exit_code)
