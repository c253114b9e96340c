"""The command lines of the servers of the native stack. Everything listens on loopback and keeps its data in `home`."""

from __future__ import annotations

from pathlib import Path

from nightdesk.render.configuration import Rendered
from nightdesk.settings import Service, Settings
from nightdesk.stack.tools import Tools


def prometheus_command(settings: Settings, tools: Tools, rendered: Rendered) -> list[str]:
    """Return the command that starts Prometheus, and create its data folder."""
    return [
        str(tools.prometheus),
        f"--config.file={rendered.prometheus_config}",
        f"--storage.tsdb.path={_data_folder(settings, 'prometheus')}",
        f"--storage.tsdb.retention.time={max(1, round(settings.retention.prometheus_days * 24))}h",
        f"--storage.tsdb.retention.size={round(settings.retention.prometheus_megabytes)}MB",
        *_listen(settings, "prometheus"),
        "--web.enable-lifecycle",
        # Without it an alert with a `for` below ten minutes starts its wait anew after a restart.
        "--rules.alert.for-grace-period=1s",
    ]


def alertmanager_command(settings: Settings, tools: Tools, rendered: Rendered) -> list[str]:
    """Return the command that starts a single Alertmanager, and create its data folder.

    It saves silences and what it has sent when it is stopped: give it time to.
    """
    return [
        str(tools.alertmanager),
        f"--config.file={rendered.alertmanager_config}",
        f"--storage.path={_data_folder(settings, 'alertmanager')}",
        *_listen(settings, "alertmanager"),
        "--cluster.listen-address=",
    ]


def pushgateway_command(settings: Settings, tools: Tools) -> list[str]:
    """Return the command that starts the Pushgateway, and create its data folder, which it would not do itself."""
    return [
        str(tools.pushgateway),
        f"--persistence.file={_data_folder(settings, 'pushgateway') / 'metrics.db'}",
        # A kill loses what was pushed since; a push is rare and the file small.
        "--persistence.interval=15s",
        *_listen(settings, "pushgateway"),
    ]


def grafana_command(settings: Settings, grafana: Path, rendered: Rendered) -> list[str]:
    """Return the command that starts a Grafana of the PATH, and create its data folder."""
    home = grafana.resolve().parent.parent
    return [
        str(grafana),
        "server",
        f"--homepath={home}",
        f"cfg:paths.data={_data_folder(settings, 'grafana')}",
        f"cfg:paths.provisioning={rendered.grafana_provisioning}",
        "cfg:server.http_addr=127.0.0.1",
        f"cfg:server.http_port={settings.port('grafana')}",
        "cfg:analytics.reporting_enabled=false",
        "cfg:analytics.check_for_updates=false",
    ]


def _data_folder(settings: Settings, service: Service) -> Path:
    folder = settings.home / service
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _listen(settings: Settings, service: Service) -> list[str]:
    address = f"127.0.0.1:{settings.port(service)}"
    return [f"--web.listen-address={address}", f"--web.external-url=http://{address}"]
