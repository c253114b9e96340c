"""Prometheus' running configuration: addresses, targets, and the rules with their inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nightdesk_core.files.yaml_text import read_yaml

from nightdesk.passwords import USER, Guarded, password_file
from nightdesk.render.files import File, Files, yaml_file
from nightdesk.render.rules import SERVERS, Inventory, rule_files
from nightdesk.settings import Settings

REPLAY_INTERVAL = "1s"
"""Scraping and evaluating every second in a replay: the shortest limit there is 5 s."""

_STATIC_JOBS: tuple[Guarded, ...] = ("prometheus", "alertmanager", "pushgateway")


def render_prometheus(settings: Settings, assets: Path) -> Files:
    """Return the files of the folder `prometheus`."""
    own = settings.stack.bots
    bots = own or {settings.bot.name: settings.address("bot")}
    source = assets / "prometheus"
    # The reference bot is retrained, and the desk runs all of its servers.
    inventory = Inventory(bots=tuple(bots), retrained=() if own else tuple(bots), servers=SERVERS)
    rules = rule_files(assets, inventory, scale=settings.scale)
    files = {f"prometheus/rules/{name}": file for name, file in rules.items()}
    targets = [{"targets": [address], "labels": {"bot": bot}} for bot, address in bots.items()]
    files["prometheus/targets/bots.json"] = File(json.dumps(targets, indent=2).encode() + b"\n")
    static = read_yaml(source / "prometheus.yml")
    files["prometheus/prometheus.yml"] = yaml_file(_configuration(static, settings))
    return files


def _configuration(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    if settings.scale.speed != 1.0:
        for key in ("scrape_interval", "evaluation_interval", "scrape_timeout"):
            document["global"][key] = REPLAY_INTERVAL
    alertmanager = [{"targets": [settings.address("alertmanager")]}]
    document["alerting"]["alertmanagers"][0].update(
        basic_auth=_login(settings, "alertmanager"), static_configs=alertmanager
    )
    jobs = {job["job_name"]: job for job in document["scrape_configs"]}
    for service in _STATIC_JOBS:
        jobs[service].update(
            basic_auth=_login(settings, service), static_configs=[{"targets": [settings.address(service)]}]
        )
    jobs["desk"].update(
        basic_auth=_login(settings, "pages"),
        static_configs=[{"targets": [settings.address("pages")], "labels": {"bot": settings.bot.name}}],
    )
    jobs["tradebot"].update(exporter_access(settings))
    return document


def _login(settings: Settings, server: Guarded) -> dict[str, str]:
    """Return by what Prometheus reaches a server; it reads the file itself."""
    return {"username": USER, "password_file": str(password_file(settings, server))}


def exporter_access(settings: Settings) -> dict[str, Any]:
    """Return how Prometheus asks the bot's exporter; Prometheus itself reads the files."""
    scrape = settings.bot.scrape
    access: dict[str, Any] = {}
    if scrape.scheme == "https":
        access["scheme"] = "https"
        if scrape.ca_file is not None:
            access["tls_config"] = {"ca_file": str(scrape.ca_file)}
    if scrape.password_file is not None:
        access["basic_auth"] = {"username": scrape.username, "password_file": str(scrape.password_file)}
    return access
