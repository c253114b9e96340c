"""Commands that run something: the stack, the bot, the servers' configuration, the sandbox."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.yaml_text import parse_yaml
from pydantic import BaseModel

from nightdesk import extras
from nightdesk.cli.choice import Choice, choice, load_settings
from nightdesk.logbook import set_up_logs
from nightdesk.terminal import say

app = typer.Typer()
sandbox_app = typer.Typer(help="The stand-ins for the outside world.", no_args_is_help=True)
stack_app = typer.Typer(help="The services of a running `nightdesk run`.", no_args_is_help=True)


class Reloadable(StrEnum):
    """What reads anew on SIGHUP. Anything else would end by it."""

    BOT = "bot"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"


Service = Annotated[str, typer.Argument(help="The service's name, as in the table of `nightdesk run`.")]


@app.command()
def run(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option("--for", help="Stop by itself this many seconds after all is up.", min=1)
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set the last replay aside and begin anew.")] = False,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="A replay with a plot, begun anew: crash, outage or decay.")
    ] = None,
    servers: Annotated[
        bool,
        typer.Option("--servers", help="Run the servers alone, for bots of your own: those of the settings, and here."),
    ] = False,
) -> None:
    """Run the whole stack here: bot, Prometheus, Alertmanager, Pushgateway, sandbox, retrain schedule. Ctrl-C stops it.

    Examples: [bold]nightdesk run[/bold]    [bold]nightdesk run --for 60[/bold]    [bold]nightdesk run --fresh[/bold]
    [bold]nightdesk run --scenario crash --for 180[/bold]    [bold]nightdesk run --servers[/bold]
    """
    extras.require_all("nightdesk run")
    from nightdesk.stack.run import run as run_stack
    from nightdesk.stack.scenarios import find_scenario

    chosen, played = choice(context), None
    if servers:
        if fresh or scenario is not None:
            raise NightdeskError("--servers runs no replay: leave out --fresh and --scenario")
        chosen = _for_own_bots(chosen)
    if scenario is not None:
        played = find_scenario(scenario)
        # What a person sets goes before what the scenario does.
        chosen = Choice(chosen.file, [*played.settings, *chosen.overrides])
    healthy = run_stack(
        chosen.load(),
        settings_file=chosen.file.resolve(),
        overrides=chosen.overrides,
        seconds=seconds,
        fresh=fresh,
        scenario=played,
    )
    raise typer.Exit(0 if healthy else 1)


def _for_own_bots(chosen: Choice) -> Choice:
    from nightdesk.bots import known_bots
    from nightdesk.stack.own_bots import for_servers, own_bots

    bots = own_bots(chosen.load(), known_bots())
    for name, address in bots.items():
        say(f"Prometheus asks {name} at {address}, and misses it where it does not answer")
    return Choice(chosen.file, [*chosen.overrides, *for_servers(bots)])


@app.command()
def tools(context: typer.Context) -> None:
    """Put Prometheus, Alertmanager, Pushgateway and their tools under `home`, where the PATH has no good ones."""
    from nightdesk.stack.tools import ensure_tools

    settings = load_settings(context)
    found = ensure_tools(settings.home, progress=partial(say, error=True))
    for name, path in asdict(found).items():
        say(f"{name:16} {path}")


@app.command()
def bot(context: typer.Context) -> None:
    """Run the reference bot on paper until it is told to stop.

    A SIGHUP, or `nightdesk stack reload`, has it take over what is safe of changed settings; it says what must wait.
    """
    import asyncio

    from nightdesk.bot.process import trade

    set_up_logs("bot", load_settings(context))
    asyncio.run(trade(lambda: load_settings(context)))


@app.command()
def pages(context: typer.Context) -> None:
    """Serve the pages of Prometheus, Alertmanager and Pushgateway to people who are logged in, and watch silences."""
    import asyncio

    from nightdesk.pages.server import serve
    from nightdesk.stack.renewal import renew_alertmanager

    settings = load_settings(context)
    set_up_logs("pages", settings, to_file=False)
    asyncio.run(serve(settings, renew=lambda: renew_alertmanager(load_settings(context))))


@app.command()
def login(context: typer.Context) -> None:
    """Print a link to the servers' pages that logs in once, within twelve hours.

    Compose: [bold]docker compose run --rm --no-deps pages login[/bold]
    """
    from nightdesk.pages.link import login_link

    say(login_link(load_settings(context)))


@app.command()
def render(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; `rendered` in `home` by default.")] = None,
) -> None:
    """Write the configuration of Prometheus, Alertmanager and Grafana from the static files and the settings."""
    from nightdesk.render.configuration import render as render_all

    settings = load_settings(context)
    target = out or settings.home / "rendered"
    render_all(settings, out=target)
    say(f"rendered into {target}")


@sandbox_app.command()
def exchange(context: typer.Context) -> None:
    """Serve the replay exchange."""
    from nightdesk_sandbox import run_exchange

    settings = load_settings(context)
    set_up_logs("exchange", settings, to_file=False)
    run_exchange(settings.sandbox, home=settings.home, host=settings.listen_host, port=settings.port("exchange"))


@sandbox_app.command()
def inbox(context: typer.Context) -> None:
    """Serve the inbox for webhooks and mail."""
    from nightdesk_sandbox import run_inbox

    settings = load_settings(context)
    set_up_logs("inbox", settings, to_file=False)
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
    channel: Annotated[
        str | None,
        typer.Option(
            "--channel",
            help="Have a channel of the inbox fail instead, or any for all of them; an unknown one lists them.",
        ),
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--with", help="A parameter of the fault: --with offset_seconds=30. Repeatable.")
    ] = None,
) -> None:
    """Switch a fault of the running replay exchange on, or all off; with --channel, of the inbox.

    The exchange: [bold]nightdesk sandbox fault drop --seconds 5[/bold]    [bold]nightdesk sandbox fault clear[/bold]

    The inbox: [bold]nightdesk sandbox fault rate_limit --channel discord --seconds 20[/bold]

    [bold]nightdesk sandbox fault slow --channel email --with delay_seconds=3[/bold]

    [bold]nightdesk sandbox fault refuse --channel slack --with reason=channel_is_archived[/bold]

    [bold]nightdesk sandbox fault clear --channel any[/bold]
    """
    from nightdesk.answers import AnswerError, ask

    settings = load_settings(context)
    address = settings.address("exchange" if channel is None else "inbox")
    url = f"http://{address}/sandbox/fault"
    body: dict[str, Any] = {"name": name, "seconds": seconds}
    if channel is not None:
        body["channel"] = channel
    for parameter in parameters or []:
        key, _, value = parameter.partition("=")
        body[key] = parse_yaml(value, source=f"--with {key}")
    only = {"channel": channel} if channel not in (None, "any") else {}
    spoken = "replay exchange" if channel is None else "inbox"
    try:
        answer = ask(url, method="DELETE", parameters=only) if name == "clear" else ask(url, method="POST", body=body)
        refusal = None if answer.ok else answer.complaint(_FaultRefusal)
        if refusal is not None:
            raise NightdeskError(refusal.error)
        active = answer.read(_Faults).faults
    except AnswerError as error:
        raise NightdeskError(f"the {spoken} at {url} {error.reason}: is it the stack's, and running?") from error
    say("active: " + (", ".join(f"{found} for {left:.0f} s" for found, left in active.items()) or "none"))


class _FaultRefusal(BaseModel):
    error: str


class _Faults(BaseModel):
    faults: dict[str, float]


def _supervisor(context: typer.Context) -> Any:
    from nightdesk.stack.supervisor_client import SupervisorClient, socket_path

    return SupervisorClient(socket_path(load_settings(context).home / "run"))


@stack_app.command("status")
def stack_status(context: typer.Context) -> None:
    """Print the state of each service."""
    for state in _supervisor(context).states():
        say(f"{state.name:16} {state.state:10} {state.pid or ''}")


@stack_app.command("stop")
def stack_stop(context: typer.Context, service: Service) -> None:
    """Stop one service, so that it stays down."""
    _supervisor(context).stop(service)


@stack_app.command("start")
def stack_start(context: typer.Context, service: Service) -> None:
    """Start one service again."""
    _supervisor(context).start(service)


@stack_app.command("reload")
def stack_reload(
    context: typer.Context,
    service: Annotated[Reloadable, typer.Argument(help="Who is to read anew what changed.")] = Reloadable.BOT,
) -> None:
    """Have the bot take over what is safe of changed settings, or a server its configuration, without a restart.

    Safe are limits, guard, thresholds, barriers, sizes and caps; docs/settings.md marks them. For a server, run
    [bold]nightdesk render[/bold] first. Its log says what became of it. Without the stack: [bold]kill -HUP[/bold] it,
    or [bold]docker compose kill -s HUP bot[/bold].
    """
    load_settings(context)  # an error here is seen by who typed the command, not only in the bot's log
    _supervisor(context).signal(service.value, "HUP")
    what = "its settings" if service is Reloadable.BOT else "its configuration"
    say(f"{service.value} reads {what} anew; see its log for what it took over")
