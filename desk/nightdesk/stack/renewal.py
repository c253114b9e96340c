"""Gives the running Alertmanager a configuration made anew, as a person does who renders and reloads."""

from __future__ import annotations

from nightdesk.render.configuration import render
from nightdesk.settings import Settings
from nightdesk.stack.running import StackError, run_dir
from nightdesk.stack.supervisor_client import SupervisorClient, SupervisorError, socket_path


def renew_alertmanager(settings: Settings) -> None:
    """Render and have Alertmanager read it. Raises `StackError` that says what to do where it cannot be done from here.

    Raises as `render` does where the settings cannot be rendered.
    """
    if settings.stack.network == "compose":
        raise StackError(
            "then run `docker compose run --rm render` and `docker compose kill -s HUP alertmanager`; from inside a"
            " container neither can be done"
        )
    try:
        supervisor = SupervisorClient(socket_path(run_dir(settings)))
        supervisor.state("alertmanager")
        render(settings, out=settings.home / "rendered")
        supervisor.signal("alertmanager", "HUP")
    except SupervisorError as error:
        raise StackError(
            f"then run `nightdesk render` and send your Alertmanager a SIGHUP, which was tried and failed: {error}"
        ) from error
