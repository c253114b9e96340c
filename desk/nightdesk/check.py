"""`nightdesk check`: everything that can be wrong with a setup, found before it matters. Changes nothing."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.errors import NightdeskError
from nightdesk_core.journal import Journal, journal_path

from nightdesk import wiring
from nightdesk.render import Rendered, render
from nightdesk.settings import Settings
from nightdesk.tools import Tools, ensure_tools

_CHECKER_SECONDS = 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `trouble` is empty where it is in order."""

    subject: str
    trouble: str
    remark: str = ""


def check(settings: Settings, *, say: Callable[[str], None]) -> Iterator[Finding]:
    """Yield a finding for each part of the setup. The settings themselves were checked when they were loaded."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            rendered = render(settings, out=Path(folder) / "rendered")
            tools = ensure_tools(settings.home, progress=say)
        except NightdeskError as error:
            yield Finding("configuration of the servers", str(error))
        else:
            yield from _servers(tools, rendered)
    yield _attempt("the strategy", lambda: _strategy(settings))
    yield _attempt("the champion", lambda: _champion(settings))
    yield _attempt("the journal", lambda: _journal(settings))
    yield _attempt("the audit log", lambda: f"{wiring.audit_log(settings).verify().length} entries")
    yield _attempt("the kill switch", lambda: _kill_switch(settings))


def _servers(tools: Tools, rendered: Rendered) -> Iterator[Finding]:
    yield _run("Prometheus's configuration and rules", tools.promtool, "check", "config", rendered.prometheus_config)
    yield _run("Alertmanager's configuration", tools.amtool, "check-config", rendered.alertmanager_config)


def _run(subject: str, *command: str | Path) -> Finding:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=_CHECKER_SECONDS, check=False
    )
    return Finding(subject, (done.stdout + done.stderr).strip() if done.returncode else "")


def _attempt(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, "", look())
    except NightdeskError as error:
        return Finding(subject, str(error))


def _strategy(settings: Settings) -> str:
    from nightdesk_retrain.job import load_pipeline

    load_pipeline(settings.retrain.pipeline, settings.model_dump(mode="json"))
    return settings.retrain.pipeline


def _champion(settings: Settings) -> str:
    registry = wiring.registry(settings)
    champion = registry.champion()
    if champion is None:
        return "none yet: `nightdesk retrain --bootstrap` installs a first one"
    registry.bundle(champion.version)
    return f"{champion.version}, {champion.standing}"


def _journal(settings: Settings) -> str:
    path = journal_path(wiring.state_dir(settings), settings.bot.name)
    if not path.exists():
        return "none yet: the bot has not run"
    with closing(Journal(path)) as journal:
        return f"{len(journal.trades())} trades"


def _kill_switch(settings: Settings) -> str:
    state = wiring.kill_switch(settings).state()
    return f"active: {state.reason}" if state.active else "not active"
