"""Commands on what Alertmanager keeps from people."""

from __future__ import annotations

import subprocess

import typer
from nightdesk_core.errors import NightdeskError

from nightdesk.cli.choice import load_settings
from nightdesk.terminal import document, message, say

app = typer.Typer()


@app.command()
def silences(context: typer.Context) -> None:
    """Name every silence and inhibition of a critical alert: who set it, until when, why, and what it mutes.

    To end one: [bold]nightdesk amtool silence expire ID[/bold]
    """
    from nightdesk.silences import look

    lines = list(look(load_settings(context)).sentences())
    for line in lines or ["no critical alert is silenced or inhibited"]:
        say(line)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def amtool(context: typer.Context) -> None:
    """Run amtool against the stack's Alertmanager, with its address and password: what a person may do there.

    Examples: [bold]nightdesk amtool alert[/bold]    [bold]nightdesk amtool silence expire ID[/bold]
    [bold]nightdesk amtool silence add bot=btc alertname=TradebotNoTrades --duration 2h --comment holidays[/bold]
    """
    from nightdesk.render.configuration import Rendered
    from nightdesk.stack.tools import find_tools

    settings = load_settings(context)
    tools = find_tools(settings.home)
    if tools is None:
        raise NightdeskError("amtool is not there yet: `nightdesk tools` fetches it")
    access = Rendered(settings.home / "rendered", ()).amtool_http_config
    if not access.is_file():
        raise NightdeskError(f"{access} is not there yet: `nightdesk render` writes it")
    url = f"http://{settings.address('alertmanager')}"
    options = [f"--alertmanager.url={url}", f"--http.config.file={access}"]
    # What it prints comes from whoever set a silence or sent an alert.
    done = subprocess.run([tools.amtool, *options, *context.args], capture_output=True, check=False)
    document(done.stdout.decode(errors="replace"))
    if done.stderr:
        message(done.stderr.decode(errors="replace").rstrip())
    raise typer.Exit(done.returncode)
