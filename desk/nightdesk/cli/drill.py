"""The command that tries whether alerts arrive."""

from __future__ import annotations

import typer

from nightdesk.cli.choice import load_settings
from nightdesk.terminal import say

app = typer.Typer()


@app.command()
def drill(context: typer.Context) -> None:
    """Send a marked message down each channel, and through Alertmanager where it runs, and say what came of it.

    People get it as they would get an alert that wakes them; it says that it is a drill. What went through
    Alertmanager is told as over a minute or so later. Exit code 1 where a message did not arrive.
    """
    from nightdesk.drill import alertmanager_runs
    from nightdesk.drill import drill as run_drill

    settings = load_settings(context)
    failed = 0
    for result in run_drill(settings):
        failed += bool(result.problem)
        outcome = f"FAILED: {result.problem}" if result.problem else "delivered"
        say(f"{result.place:32} {result.seconds:5.1f} s  {outcome}")
    if not alertmanager_runs(settings):
        say(f"Alertmanager does not run at {settings.address('alertmanager')}: the way through it was not tried")
    raise typer.Exit(1 if failed else 0)
