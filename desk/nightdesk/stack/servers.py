"""The command lines of the servers of the native stack. Everything listens on loopback and keeps its data in `home`.

Each asks for a password that no browser holds; people see their pages by the page server, below whose address they
believe to lie. What could be ended or emptied over HTTP stays off; a SIGHUP has Prometheus and Alertmanager read their
configuration anew.
"""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.files.permissions import make_folder

from nightdesk.passwords import ensure_password, password_file
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
        *_listen(settings, rendered, "prometheus"),
        # Nothing: the default lets the pages of every web site read.
        "--web.cors.origin=^$",
        *_pages_of(tools.prometheus, "web"),
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
        *_listen(settings, rendered, "alertmanager"),
        "--cluster.listen-address=",
    ]


def pushgateway_command(settings: Settings, tools: Tools, rendered: Rendered) -> list[str]:
    """Return the command that starts the Pushgateway, and create its data folder, which it would not do itself."""
    return [
        str(tools.pushgateway),
        f"--persistence.file={_data_folder(settings, 'pushgateway') / 'metrics.db'}",
        # A kill loses what was pushed since; a push is rare and the file small.
        "--persistence.interval=15s",
        *_listen(settings, rendered, "pushgateway"),
        *_pages_of(tools.pushgateway, "pushgateway"),
    ]


def grafana_command(settings: Settings, grafana: Path, rendered: Rendered) -> list[str]:
    """Return the command that starts a Grafana of the PATH, and create its data folder."""
    home = grafana.resolve().parent.parent
    ensure_password(settings, "grafana")
    return [
        str(grafana),
        "server",
        f"--homepath={home}",
        f"cfg:paths.data={_data_folder(settings, 'grafana')}",
        f"cfg:paths.provisioning={rendered.grafana_provisioning}",
        # Only at its first start; Grafana itself reads the file.
        f"cfg:security.admin_password=$__file{{{password_file(settings, 'grafana')}}}",
        "cfg:server.http_addr=127.0.0.1",
        f"cfg:server.http_port={settings.port('grafana')}",
        "cfg:analytics.reporting_enabled=false",
        "cfg:analytics.check_for_updates=false",
    ]


def _pages_of(program: Path, folder: str) -> list[str]:
    """Return where a server's pages lie, where it is Debian's: unpacked, it would look where it was installed."""
    found = program.resolve().parent.parent / "share" / "prometheus" / folder
    return [f"--web.local-assets={found}"] if found.is_dir() else []


def _data_folder(settings: Settings, service: Service) -> Path:
    folder = settings.home / service
    make_folder(folder)
    return folder


def _listen(settings: Settings, rendered: Rendered, service: Service) -> list[str]:
    return [
        f"--web.listen-address=127.0.0.1:{settings.port(service)}",
        f"--web.config.file={rendered.web_config(service)}",
        f"--web.external-url={settings.pages_url}/{service}/",
        "--web.route-prefix=/",
    ]
