"""One settings file for the whole desk: each room's model in its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from nightdesk_alerts.settings import AlertSettings
from nightdesk_core.clock import TimeScale
from nightdesk_core.secrets.secret_settings import with_environment
from nightdesk_core.settings import (
    BotSettings,
    SettingsError,
    SettingsModel,
    override,
    read_document,
    read_secret,
    validate,
)
from nightdesk_exporter import host_problems
from nightdesk_exporter.settings import LimitSettings, LogSettings
from nightdesk_guard.settings import GuardSettings
from nightdesk_retrain.settings import ModelRotationSettings, RetrainSettings
from nightdesk_sandbox.settings import SandboxSettings
from nightdesk_trendbot.settings import TrendbotSettings
from pydantic import Field, SecretStr, model_validator

Service = Literal["bot", "exchange", "inbox", "smtp", "pages", "prometheus", "alertmanager", "pushgateway", "grafana"]

Section = TypeVar("Section", bound=SettingsModel)

ADDRESS = r"^([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$"
"""A host's name, or its number, and a port."""
_COMPOSE_HOSTS = {"exchange": "sandbox-exchange", "inbox": "sandbox-inbox", "smtp": "sandbox-inbox"}


class OperationsSettings(SettingsModel):
    """The requirements document's section, key for key, and the limits."""

    health_check_interval_seconds: float = Field(
        300,
        gt=0,
        description="How often the bot writes its status file, and at once when something changes, in seconds. It"
        " judges its health whenever something changes or a limit passes.",
    )
    status_file_path: Path = Field(Path("logs/bot_status.json"), description="Where the status file lies.")
    model_rotation: ModelRotationSettings = ModelRotationSettings()
    alerts: AlertSettings = AlertSettings()
    limits: LimitSettings = LimitSettings()
    logs: LogSettings = LogSettings()


class PortSettings(SettingsModel):
    """The ports of the stack. All listen on loopback."""

    bot: int = Field(8700, ge=1, le=65535, description="The exporter inside the bot.")
    exchange: int = Field(8701, ge=1, le=65535, description="The sandbox's exchange.")
    inbox: int = Field(8702, ge=1, le=65535, description="The sandbox's inbox: its page and its webhooks.")
    smtp: int = Field(8725, ge=1, le=65535, description="The sandbox's mail server.")
    pages: int = Field(8780, ge=1, le=65535, description="The page server, through which people reach the others.")
    prometheus: int = Field(8790, ge=1, le=65535, description="Prometheus.")
    pushgateway: int = Field(8791, ge=1, le=65535, description="Pushgateway, which the retrain job pushes to.")
    alertmanager: int = Field(8793, ge=1, le=65535, description="Alertmanager.")
    grafana: int = Field(8730, ge=1, le=65535, description="Grafana, where one is installed.")

    @model_validator(mode="after")
    def _no_port_serves_two(self) -> Self:
        seen: dict[int, str] = {}
        for name, port in self.model_dump().items():
            if port in seen:
                raise ValueError(f"{seen[port]} and {name} both want port {port}")
            seen[port] = name
        return self


class RetentionSettings(SettingsModel):
    """How much of what grows is kept. The table at the end says what each file is bounded by, and what stays for ever.

    Models have `retrain.keep_models`, log files `operations.logs`.
    """

    decisions_megabytes: float = Field(
        50,
        ge=1,
        description="What the bot's decisions may take, in MB: packed, about 0.13 a year for each symbol with"
        " candles of an hour, 8 with candles of a minute. The oldest go.",
    )
    equity_days: float = Field(
        400,
        ge=1,
        description="Equity older than this, in days of the market, is kept at each day's end alone.",
    )
    prometheus_days: float = Field(90, gt=0, description="How long Prometheus keeps its samples, in days.")
    prometheus_megabytes: float = Field(
        2000, ge=100, description="What Prometheus' samples may take, in MB; the oldest go, however young they are."
    )
    replays: int = Field(3, ge=0, description="How many replays that were set aside by `run --fresh` are kept.")


class StackSettings(SettingsModel):
    """How the services find each other."""

    network: Literal["native", "compose"] = Field(
        "native", description="native: everything on 127.0.0.1. compose: by service name, listening on all interfaces."
    )
    ports: PortSettings = PortSettings()
    bots: dict[str, Annotated[str, Field(pattern=ADDRESS)]] = Field(
        default_factory=dict,
        description="Bots of your own that Prometheus asks, as `name: host:port`, and misses where they do not answer."
        " With one of them there is no reference bot.",
    )
    passwords_dir: Path = Field(
        Path("passwords"),
        description="The machine's own passwords for its servers, a file each: made where there is none.",
    )
    pages_url: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)?$",
        description="Where people reach the page server, and links in alerts lead; empty is its own address on this"
        " machine. A proxy of your own, with TLS, has another.",
    )


class Settings(SettingsModel):
    """Everything that `nightdesk.yml` may say."""

    home: Path = Field(
        Path("var"), description="Every relative path in this file lies in here; itself beside the file."
    )
    bot: BotSettings = BotSettings()
    trendbot: TrendbotSettings = TrendbotSettings()
    strategy: dict[str, Any] = Field(
        default_factory=dict, description="What a strategy of your own needs, as it likes; `retrain.pipeline` gets it."
    )
    guard: GuardSettings = GuardSettings()
    operations: OperationsSettings = OperationsSettings()
    retrain: RetrainSettings = RetrainSettings()
    retention: RetentionSettings = RetentionSettings()
    sandbox: SandboxSettings = SandboxSettings()
    stack: StackSettings = StackSettings()

    @model_validator(mode="after")
    def _the_sandbox_has_such_candles(self) -> Self:
        if self.sandbox.enabled and self.trendbot.timeframe.endswith("m"):
            raise ValueError(
                f"trendbot.timeframe: the sandbox replays candles of an hour, and has none of {self.trendbot.timeframe}"
            )
        return self

    @model_validator(mode="after")
    def _hosts_are_names(self) -> Self:
        if problems := host_problems(self.bot.allowed_hosts or ()):
            raise ValueError(f"bot.allowed_hosts: {'; '.join(problems)}")
        return self

    @property
    def scale(self) -> TimeScale:
        """How fast the market runs: as fast as the sandbox replays, or as fast as the wall."""
        return TimeScale(self.sandbox.candles_per_second * 3600) if self.sandbox.enabled else TimeScale()

    def path(self, path: Path) -> Path:
        """Return a path of these settings as an absolute one."""
        return self.home / path

    def port(self, service: Service) -> int:
        """Return the port that a service listens on."""
        port: int = getattr(self.stack.ports, service)
        return port

    def address(self, service: Service) -> str:
        """Return `host:port` at which the other services reach this one."""
        host = _COMPOSE_HOSTS.get(service, service) if self.stack.network == "compose" else "127.0.0.1"
        return f"{host}:{self.port(service)}"

    @property
    def pages_url(self) -> str:
        """Where people reach the page server, without a slash at the end."""
        return self.stack.pages_url or f"http://127.0.0.1:{self.port('pages')}"

    @property
    def bot_url(self) -> str:
        """Where the bot's exporter is reached."""
        return f"{self.bot.scrape.scheme}://{self.address('bot')}"

    def bot_trust(self) -> str | bool:
        """Return what the certificate of the bot's exporter is verified by: a file, or the system's authorities."""
        return str(self.bot.scrape.ca_file) if self.bot.scrape.ca_file is not None else True

    def bot_login(self) -> tuple[str, str] | None:
        """Return name and password for the bot's exporter. Raises `SettingsError` where the file cannot be read."""
        scrape = self.bot.scrape
        if scrape.password_file is None:
            return None
        return scrape.username, read_secret(SecretStr(""), scrape.password_file, key="bot.scrape.password_file")

    @property
    def listen_host(self) -> str:
        """The interface that our own services listen on."""
        return "0.0.0.0" if self.stack.network == "compose" else "127.0.0.1"  # noqa: S104 - a container's own network


def load(
    path: Path,
    assignments: list[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    may_be_missing: bool = False,
) -> Settings:
    """Return the settings of `path` with each `a.b=value` of `assignments` applied, `home` made absolute.

    A secret may stand in `environment` (`nightdesk_core.secrets.secret_settings`). A file that `may_be_missing` then
    holds the defaults. Raises `SettingsError` with every problem at once.
    """
    written = {} if may_be_missing and not os.path.lexists(path) else read_document(path)
    document = with_environment(Settings, override(written, assignments or []), environment)
    settings = validate(Settings, document, source=str(path))
    home = (path.resolve().parent / settings.home).resolve()
    return _follow_sandbox(_with_secrets_in(home, settings).model_copy(update={"home": home}))


def _with_secrets_in(home: Path, section: Section) -> Section:
    """Return a section in which the files that hold secrets have absolute paths: a room knows no home to look in."""
    changes: dict[str, object] = {}
    for name, value in section:
        if isinstance(value, SettingsModel):
            changes[name] = _with_secrets_in(home, value)
        elif isinstance(value, Path) and name.endswith("_file"):
            changes[name] = home / value
    return section.model_copy(update=changes)


def _follow_sandbox(settings: Settings) -> Settings:
    """Point the bot at the sandbox's exchange where it is enabled and no address of the person's own is set."""
    exchange = settings.trendbot.exchange
    if not settings.sandbox.enabled or exchange.rest_url:
        return settings
    address = settings.address("exchange")
    there = exchange.model_copy(
        update={"rest_url": f"http://{address}", "stream_url": f"ws://{address}", "rate_limited": False}
    )
    return settings.model_copy(update={"trendbot": settings.trendbot.model_copy(update={"exchange": there})})


__all__ = [
    "OperationsSettings",
    "PortSettings",
    "RetentionSettings",
    "Service",
    "Settings",
    "SettingsError",
    "StackSettings",
    "load",
]
