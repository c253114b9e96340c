"""`nightdesk check`: everything that can be wrong with a setup, found before it matters. Changes nothing."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.disk import reason_of

from nightdesk import extras
from nightdesk.bots import known_bots
from nightdesk.check.candles import check_candles
from nightdesk.check.certificates import check_certificates
from nightdesk.check.channels import check_channels, check_chats, check_secrets
from nightdesk.check.exchange import check_exchange
from nightdesk.check.exporter import check_exporter
from nightdesk.check.files import check_files
from nightdesk.check.machine import check_growth, check_home, check_ports
from nightdesk.check.records import check_champion, check_journal
from nightdesk.check.result import CheckResult, attempt
from nightdesk.check.silences import check_silences
from nightdesk.check.web import check_web_config
from nightdesk.home import audit_anchors, audit_log, kill_switch
from nightdesk.render.configuration import Rendered, render
from nightdesk.settings import Settings
from nightdesk.stack.tools import Tools, find_tools

_CHECKER_SECONDS = 30


def check(settings: Settings, *, settings_file: Path, offline: bool) -> Iterator[CheckResult]:
    """Yield a finding for each part of the setup; `offline` leaves out what needs the network.

    The settings themselves were checked when they were loaded.
    """
    yield attempt("the home folder", lambda: check_home(settings))
    yield attempt("the files", lambda: check_files(settings, settings_file))
    yield attempt("what grows", lambda: check_growth(settings))
    yield attempt("the ports", lambda: check_ports(settings))
    channels = attempt("the alert channels", lambda: check_channels(settings))
    yield channels
    yield attempt("the secrets", lambda: check_secrets(settings, settings_file))
    if channels.trouble:
        yield CheckResult("the servers' configuration", "", "not looked at before the alert channels are put right")
    else:
        yield from _servers(settings)
    yield attempt("the silences", lambda: check_silences(settings))
    yield attempt("the exporter's web configuration", lambda: check_web_config(settings))
    own = bool(settings.stack.bots)
    if not own:
        yield attempt("the candles", lambda: check_candles(settings))
        yield attempt("the strategy", lambda: _strategy(settings))
        yield attempt("the champion", lambda: check_champion(settings))
        yield attempt("the journal", lambda: check_journal(settings))
    yield attempt("the audit log", lambda: _audit(settings))
    yield attempt("the kill switch", lambda: _kill_switch(settings))
    yield attempt("the running bot", lambda: check_exporter(settings, known_bots()))
    if offline:
        yield CheckResult("the chats", "", "not asked for, as --offline wants it")
        yield CheckResult("the certificates", "", "not asked for, as --offline wants it")
        if not own:
            yield CheckResult("the exchange", "", "not asked, as --offline wants it")
    else:
        if channels.trouble:
            yield CheckResult("the chats", "", "not asked for before the alert channels are put right")
        else:
            yield attempt("the chats", lambda: check_chats(settings))
        yield attempt("the certificates", lambda: check_certificates(settings))
        if not own:
            yield attempt("the exchange", lambda: check_exchange(settings))


def _servers(settings: Settings) -> Iterator[CheckResult]:
    try:
        temporary = tempfile.TemporaryDirectory()
    except OSError as error:  # Python looks for a folder by writing to it
        yield CheckResult("the servers' configuration", f"cannot be written to be checked ({reason_of(error)})")
        return
    with temporary as folder:
        # With passwords of its own: those of the stack are made when it starts.
        stack = settings.stack.model_copy(update={"passwords_dir": Path(folder) / "passwords"})
        try:
            rendered = render(settings.model_copy(update={"stack": stack}), out=Path(folder) / "rendered")
        except NightdeskError as error:
            yield CheckResult("the servers' configuration", str(error))
            return
        except ModuleNotFoundError as error:
            yield CheckResult("the servers' configuration", "", f"not looked at: {extras.missing(error) or error}")
            return
        tools = find_tools(settings.home)
        if tools is None:
            yield CheckResult("the servers' configuration", "", "not checked: `nightdesk tools` fetches what checks it")
            return
        yield from _checked(tools, rendered)


def _checked(tools: Tools, rendered: Rendered) -> Iterator[CheckResult]:
    yield _run("Prometheus's configuration and rules", tools.promtool, "check", "config", rendered.prometheus_config)
    yield _run("Alertmanager's configuration", tools.amtool, "check-config", rendered.alertmanager_config)


def _run(subject: str, *command: str | Path) -> CheckResult:
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=_CHECKER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return CheckResult(subject, f"{command[0]} did not end within {_CHECKER_SECONDS} s; run it by hand")
    except OSError as error:
        return CheckResult(subject, f"{command[0]} cannot be run ({reason_of(error)}); `nightdesk tools` fetches it")
    return CheckResult(subject, (done.stdout + done.stderr).strip() if done.returncode else "")


def _strategy(settings: Settings) -> str:
    from nightdesk_retrain import load_pipeline

    load_pipeline(settings.retrain.pipeline, settings.model_dump(mode="json"))
    return settings.retrain.pipeline


def _audit(settings: Settings) -> str:
    log = audit_log(settings)
    return f"{log.verify((*log.anchors, *audit_anchors(settings))).length} entries"


def _kill_switch(settings: Settings) -> str:
    state = kill_switch(settings).state()
    return f"active: {state.reason}" if state.active else "not active"
