"""The running configuration of Prometheus, Alertmanager and Grafana, from the static files and the settings.

The same static files, rules, templates and dashboards serve the native stack and Compose; only this step differs, by
`stack.network`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nightdesk_core.files.reader import read_bytes
from nightdesk_core.files.yaml_text import read_yaml

from nightdesk import home
from nightdesk.assets import assets_folder
from nightdesk.passwords import USER, WITH_WEB_CONFIG, ensure_password, hashed, password_file
from nightdesk.render.alertmanager import render_alertmanager
from nightdesk.render.files import File, Files, RenderError, refuse_others, write_files, yaml_file
from nightdesk.render.prometheus import REPLAY_INTERVAL, render_prometheus
from nightdesk.settings import Service, Settings

__all__ = ["RenderError", "Rendered", "render"]


@dataclass(frozen=True)
class Rendered:
    """A rendered configuration. `changed` holds the paths inside `out` that this run wrote or removed."""

    out: Path
    changed: tuple[str, ...]

    @property
    def prometheus_config(self) -> Path:
        """What Prometheus is started with."""
        return self.out / "prometheus" / "prometheus.yml"

    @property
    def alertmanager_config(self) -> Path:
        """What Alertmanager is started with."""
        return self.out / "alertmanager" / "alertmanager.yml"

    def web_config(self, server: Service) -> Path:
        """Return what a server is told of who may ask it."""
        return self.out / server / "web.yml"

    @property
    def amtool_http_config(self) -> Path:
        """By what amtool reaches Alertmanager."""
        return self.out / "alertmanager" / "amtool-http.yml"

    @property
    def alertmanager_secrets(self) -> Path:
        """The folder of what Alertmanager must not say aloud."""
        return self.out / "alertmanager" / "secrets"

    @property
    def grafana_provisioning(self) -> Path:
        """The folder that Grafana reads its data source and dashboards from."""
        return self.out / "grafana" / "provisioning"


def render(settings: Settings, *, out: Path) -> Rendered:
    """Write the running configuration to `out`, touching only what changed, and remove what is no longer wanted.

    The passwords that its servers ask for are made where there are none. Everything is worked out before the first byte
    is written. Raises `SettingsError` where a channel or a password cannot be used and `RenderError` where `out` holds
    somebody else's files.
    """
    out = out.absolute()
    refuse_others(out)
    assets = assets_folder()
    files: Files = {
        **_render_access(settings),
        **render_prometheus(settings, assets),
        **render_alertmanager(settings, assets, out=out),
        **_render_grafana(settings, assets, out=out),
    }
    return Rendered(out, write_files(out, files, group=home.readers_group(settings)))


def _render_access(settings: Settings) -> Files:
    """Return what tells the three servers, and amtool, the password of each."""
    users = {server: {USER: hashed(ensure_password(settings, server))} for server in WITH_WEB_CONFIG}
    files = {
        f"{server}/web.yml": replace(yaml_file({"basic_auth_users": known}), readers="owner")
        for server, known in users.items()
    }
    login = {"username": USER, "password_file": str(password_file(settings, "alertmanager"))}
    files["alertmanager/amtool-http.yml"] = yaml_file({"basic_auth": login})
    return files


def _render_grafana(settings: Settings, assets: Path, *, out: Path) -> Files:
    source = assets / "grafana"
    files = {
        f"grafana/dashboards/{dashboard.name}": File(read_bytes(dashboard))
        for dashboard in sorted((source / "dashboards").glob("*.json"))
    }
    data_source = read_yaml(source / "provisioning/datasources/prometheus.yml")
    data_source["datasources"][0]["url"] = f"http://{settings.address('prometheus')}"
    data_source["datasources"][0].update(
        basicAuth=True,
        basicAuthUser=USER,
        # Grafana itself reads the file.
        secureJsonData={"basicAuthPassword": f"$__file{{{password_file(settings, 'prometheus')}}}"},
    )
    if settings.scale.speed != 1.0:
        data_source["datasources"][0]["jsonData"]["timeInterval"] = REPLAY_INTERVAL
    files["grafana/provisioning/datasources/prometheus.yml"] = yaml_file(data_source)
    provider = read_yaml(source / "provisioning/dashboards/nightdesk.yml")
    provider["providers"][0]["options"]["path"] = str(out / "grafana" / "dashboards")
    files["grafana/provisioning/dashboards/nightdesk.yml"] = yaml_file(provider)
    return files
