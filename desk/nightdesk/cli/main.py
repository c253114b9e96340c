"""The command line. Heavy libraries are loaded by the command that needs them, never before."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.permissions import PRIVATE_UMASK
from nightdesk_exporter import logs

from nightdesk import extras, terminal
from nightdesk.cli import (
    audit,
    drill,
    duty,
    existing,
    gate,
    guard,
    init,
    models,
    positions,
    retrain,
    run,
    silences,
    status,
    stop,
)
from nightdesk.cli.choice import DEFAULT_FILE, Choice

app = typer.Typer(
    name="nightdesk",
    help="The night desk of a trading bot: it watches, throttles, retrains, and wakes a person only when it must.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(run.app)
app.add_typer(retrain.app)
app.add_typer(stop.app)
app.add_typer(status.app)
app.add_typer(duty.app)
app.add_typer(init.app)
app.add_typer(drill.app)
app.add_typer(silences.app)
app.add_typer(existing.app)
app.add_typer(models.app, name="models")
app.add_typer(positions.app, name="positions")
app.add_typer(audit.app, name="audit")
app.add_typer(guard.app, name="guard")
app.add_typer(gate.app, name="gate")
app.add_typer(run.stack_app, name="stack")
app.add_typer(run.sandbox_app, name="sandbox")


def _tell_version(asked: bool) -> None:
    if asked:
        terminal.say(f"nightdesk {version('nightdesk')}")
        raise typer.Exit


@app.callback()
def _choose(
    context: typer.Context,
    settings: Annotated[
        Path, typer.Option("--settings", envvar="NIGHTDESK_SETTINGS", help="The settings file.")
    ] = DEFAULT_FILE,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set stack.ports.bot=9000. Repeatable.")
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which version this is, and exit."),
    ] = False,
) -> None:
    context.obj = Choice(settings, assignments or [])


def _tell_of_a_thread(ended: threading.ExceptHookArgs) -> None:
    """Say what ended a thread, without the secrets that Python would print."""
    trace = traceback.format_exception(ended.exc_type, ended.exc_value, ended.exc_traceback)
    terminal.message("".join(trace).rstrip())


def main() -> None:
    """Run the command line; what a person can act on is one message and an exit code, never a traceback."""
    os.umask(PRIVATE_UMASK)
    code: int | str | None = 0
    threading.excepthook = _tell_of_a_thread
    logs.set_up("nightdesk")  # until a command sets it up by the settings
    try:
        app(prog_name="nightdesk")
    except SystemExit as end:
        code = end.code
    except NightdeskError as error:
        terminal.message(f"nightdesk: {error}")
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 - the top: Python's own traceback would show the secrets in it
        lacking = extras.missing(error)
        trace = "".join(traceback.format_exception(error)).rstrip()
        terminal.message(trace if lacking is None else f"nightdesk: {lacking}")
        code = 1 if lacking is None else lacking.exit_code
    sys.exit(code if terminal.finish() else code or 1)
