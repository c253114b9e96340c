"""The services of the native stack: what runs each, where it answers, and how its health is asked."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nightdesk_core.errors import NightdeskError
from pydantic import BaseModel

from nightdesk.answers import Answer, AnswerError, ask
from nightdesk.passwords import WITH_WEB_CONFIG, login
from nightdesk.render.configuration import Rendered
from nightdesk.settings import Service, Settings
from nightdesk.stack.log_filter import filtered
from nightdesk.stack.servers import alertmanager_command, grafana_command, prometheus_command, pushgateway_command
from nightdesk.stack.supervisor import Program
from nightdesk.stack.tools import Tools


class PortTakenError(NightdeskError):
    """Ports that the stack needs are in use by something else."""

    exit_code = 2


@dataclass(frozen=True)
class StackService:
    """A program under the supervisor; `health` is the path that answers 200 while it is well, empty for no server."""

    program: Program
    ports: tuple[Service, ...]
    health: str
    page: str = "/"

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name


@dataclass(frozen=True)
class ServiceState:
    """How a service stands: `state` is the supervisor's word, or why it is not well."""

    name: str
    state: str
    healthy: bool
    url: str


def services(
    settings: Settings, *, settings_file: Path, overrides: Sequence[str], tools: Tools, rendered: Rendered
) -> list[StackService]:
    """Return the stack's services in the order in which they start."""

    def own(*arguments: str) -> list[str]:
        sets = [part for assignment in overrides for part in ("--set", assignment)]
        return [sys.executable, "-m", "nightdesk", "--settings", str(settings_file), *sets, *arguments]

    # One thread each: the numbers are small, and the cores belong to everybody.
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    found = []
    if settings.sandbox.enabled:
        found += [
            StackService(Program("exchange", own("sandbox", "exchange"), environment=quiet), ("exchange",), "/healthz"),
            StackService(Program("inbox", own("sandbox", "inbox"), environment=quiet), ("inbox", "smtp"), "/healthz"),
        ]
    pushgateway = Program("pushgateway", pushgateway_command(settings, tools, rendered))
    alertmanager = Program(
        "alertmanager",
        filtered(alertmanager_command(settings, tools, rendered), secrets=[rendered.alertmanager_secrets]),
    )
    found += [
        StackService(Program("pages", own("pages"), environment=quiet), ("pages",), "/healthz"),
        StackService(pushgateway, ("pushgateway",), "/-/ready"),
        StackService(alertmanager, ("alertmanager",), "/-/ready"),
    ]
    grafana = shutil.which("grafana")
    if grafana is not None:
        program = Program("grafana", grafana_command(settings, Path(grafana), rendered))
        found.append(StackService(program, ("grafana",), "/api/health"))
    # After the bot: one that is still being set up is not down, and nobody is to be told so.
    command = prometheus_command(settings, tools, rendered)
    prometheus = Program("prometheus", command, autostart=False, stop_seconds=20)
    if not settings.stack.bots:
        bot = Program("bot", own("bot"), autostart=False, environment=quiet, stop_seconds=15)
        schedule = Program("schedule", own("schedule"), autostart=False, environment=quiet)
        found += [StackService(bot, ("bot",), "/healthz", page="/status"), StackService(schedule, (), "")]
    found.append(StackService(prometheus, ("prometheus",), "/-/ready", page="/classic/alerts"))
    return found


def refuse_taken_ports(settings: Settings, wanted: Sequence[StackService]) -> None:
    """Raise `PortTakenError` naming every port of the stack that something else listens on."""
    taken = taken_ports(settings, [name for service in wanted for name in service.ports])
    if taken:
        raise PortTakenError("the stack cannot start: " + "; ".join(taken))


def listening_services(settings: Settings) -> list[Service]:
    """Return what of the native stack listens on a port, by the keys of `stack.ports`."""
    sandbox: list[Service] = ["exchange", "inbox", "smtp"] if settings.sandbox.enabled else []
    grafana: list[Service] = ["grafana"] if shutil.which("grafana") else []
    bot: list[Service] = [] if settings.stack.bots else ["bot"]
    return [*sandbox, "pages", "pushgateway", "alertmanager", *grafana, *bot, "prometheus"]


def taken_ports(settings: Settings, names: Sequence[Service]) -> list[str]:
    """Return a sentence for each port that something listens on already."""
    taken = []
    for name in names:
        port = settings.port(name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                taken.append(f"port {port} for {name} ({error.strerror}; set stack.ports.{name})")
    return taken


def ask_health(settings: Settings, service: StackService, *, running: str) -> ServiceState:
    """Return how a service stands; `running` is the supervisor's word for it."""
    if not service.ports:
        return ServiceState(service.name, running.lower(), running == "RUNNING", "")
    port = service.ports[0]
    is_bot = port == "bot"
    base = settings.bot_url if is_bot else f"http://{settings.address(port)}"
    # The servers' pages are seen through the page server alone.
    url = (f"{settings.pages_url}/{port}" if port in WITH_WEB_CONFIG else base) + service.page
    if running != "RUNNING":
        return ServiceState(service.name, running.lower(), False, url)
    try:
        answer = ask(
            base + service.health,
            login=login(settings, port) if port in WITH_WEB_CONFIG else None,
            trust=settings.bot_trust() if is_bot else True,
        )
    except AnswerError as error:
        return ServiceState(service.name, error.reason, False, url)
    if answer.ok:
        return ServiceState(service.name, "healthy", True, url)
    return ServiceState(service.name, _complaint(answer), False, url)


class _Issue(BaseModel):
    cause: str


class _Unhealthy(BaseModel):
    issues: list[_Issue]


def _complaint(answer: Answer) -> str:
    said = answer.complaint(_Unhealthy)
    return f"answers {answer.status}" if said is None else "unhealthy: " + "; ".join(one.cause for one in said.issues)
