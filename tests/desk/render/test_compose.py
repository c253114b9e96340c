"""The Compose file, as Compose itself reads it; no container engine is needed for that."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from nightdesk import settings as settings_module
from nightdesk.passwords import password_file
from nightdesk.settings import Service, Settings
from nightdesk.stack.tools import Tools
from nightdesk_alerts.channels import known_channels

from tests.other_user import must_be_root, open_to_others

ROOT = Path(__file__).resolve().parents[3]
OURS = {"render", "bot", "retrain-schedule", "pages", "sandbox-exchange", "sandbox-inbox"}
SERVERS = {"pushgateway", "prometheus", "alertmanager", "grafana"}
# The init service ends: nothing is left to ask for its health or to restart.
LASTING = (OURS | SERVERS) - {"render"}


def compose(tools: Tools, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(tools.docker_compose), "--project-directory", str(ROOT), "-f", str(ROOT / "docker-compose.yml")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTDESK_", "COMPOSE_"))}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env={**clean, **environment}
    )


@pytest.fixture(scope="module")
def document(tools: Tools) -> dict[str, Any]:
    done = compose(tools, "--profile", "sandbox", "config", "--format=json", NIGHTDESK_SANDBOX="true")
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document["services"]
    return found


def settings_of(service: dict[str, Any]) -> Settings:
    """The settings that one of our services runs with."""
    arguments = [*service["entrypoint"], *service["command"]]
    return settings_module.load(
        ROOT / "nightdesk.yml", [argument.removeprefix("--set=") for argument in arguments if "--set=" in argument]
    )


@pytest.mark.parametrize("profile", [(), ("--profile", "sandbox")], ids=["production", "sandbox"])
def test_compose_accepts_the_file_without_a_word(tools: Tools, profile: tuple[str, ...]) -> None:
    done = compose(tools, *profile, "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_sandbox_is_there_only_where_it_is_asked_for(tools: Tools, services: dict[str, Any]) -> None:
    assert set(services) == OURS | SERVERS
    production = compose(tools, "config", "--services").stdout.split()
    assert set(production) == (OURS | SERVERS) - {"sandbox-exchange", "sandbox-inbox"}


def test_every_lasting_service_is_watched_and_restarted(services: dict[str, Any]) -> None:
    for name in LASTING:
        assert services[name]["healthcheck"]["test"][0] == "CMD", name
        assert services[name]["restart"] == "unless-stopped", name


def test_every_service_may_as_little_as_possible(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_images_are_pinned_to_a_release(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_ports_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    published = {port["host_ip"] for service in services.values() for port in service.get("ports", [])}
    assert published == {"127.0.0.1"}


def test_secrets_are_files_and_only_where_they_are_needed(document: dict[str, Any], services: dict[str, Any]) -> None:
    assert all(set(secret) == {"name", "file"} for secret in document["secrets"].values())
    holders = {name: {secret["source"] for secret in service.get("secrets", [])} for name, service in services.items()}
    settings = [setting for kind in known_channels() for setting in kind.settings().values()]
    channels = {setting.secret.deployed_as or setting.key for setting in settings if setting.secret}
    assert {
        "discord_webhook_url",
        "slack_webhook_url",
        "telegram_bot_token",
        "webhook_url",
        "smtp_password",
    } <= channels
    senders = dict.fromkeys(("render", "bot", "retrain-schedule", "pages"), channels)
    assert {name: held for name, held in holders.items() if held} == {**senders, "grafana": {"grafana_admin_password"}}
    alerts = settings_of(services["bot"]).operations.alerts
    named = {value for name, value in alerts if name.endswith("_file") and value is not None}
    assert named == {Path("/run/secrets") / name for name in channels}


def test_rendered_secrets_belong_to_the_user_of_the_server_that_reads_them(services: dict[str, Any]) -> None:
    assert services["render"]["user"] == services["alertmanager"]["user"] == "65534:65534"
    assert "--owner 65534 --group 65534 --mode 2750 /rendered" in (ROOT / "desk/Dockerfile").read_text()


def test_every_service_has_a_user_that_may_read_what_it_mounts_and_nobody_is_root(
    services: dict[str, dict[str, Any]],
) -> None:
    users = {name: service["user"] for name, service in services.items()}
    assert {user for name, user in users.items() if name in OURS - {"render"}} == {"10001:10001"}
    assert {users[name] for name in ("render", "prometheus", "alertmanager", "pushgateway")} == {"65534:65534"}
    assert users["grafana"] == "472:0", "as its own image has it"
    for name, service in services.items():
        reads = any(volume["source"] == "rendered" for volume in service.get("volumes", ()))
        assert not reads or "65534" in (users[name].partition(":")[2], *service.get("group_add", ())), name


def test_grafana_s_group_reads_what_was_rendered_and_no_secret(tmp_path: Path) -> None:
    must_be_root()
    open_to_others(tmp_path)
    command = ["--set=bot.group=nogroup", "render", f"--out={tmp_path}/rendered"]
    url = {"NIGHTDESK_OPERATIONS_ALERTS_DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x"}
    desk = [sys.executable, "-m", "nightdesk", f"--settings={ROOT}/nightdesk.yml", "--set=sandbox.enabled=false"]
    (tmp_path / "rendered").mkdir(mode=0o755)
    subprocess.run([*desk, *command], check=True, umask=0, env={**os.environ, **url})
    drop = ["setpriv", "--reuid=472", "--regid=0", "--groups=65534", "--", "cat"]
    for path in (path for path in (tmp_path / "rendered").rglob("*") if path.is_file()):
        readable = subprocess.run([*drop, str(path)], capture_output=True, check=False).returncode == 0
        assert readable == (path.stat().st_mode & 0o777 == 0o640), path
        assert readable or "grafana" not in path.parts, path
    assert list((tmp_path / "rendered").rglob("secrets/*"))


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_services_start_with_settings_that_are_valid(services: dict[str, Any], name: str) -> None:
    settings = settings_of(services[name])
    assert settings.home == Path("/data")
    assert settings.stack.network == "compose"
    assert settings.sandbox.enabled is True


def test_without_the_variable_the_sandbox_is_off(tools: Tools) -> None:
    production = json.loads(compose(tools, "config", "--format=json").stdout)["services"]
    assert settings_of(production["bot"]).sandbox.enabled is False


def test_every_service_listens_where_the_settings_say_that_it_is(services: dict[str, Any]) -> None:
    settings = settings_of(services["bot"])
    servers: tuple[Service, ...] = ("prometheus", "alertmanager", "pushgateway")
    for name in servers:
        host, _, port = settings.address(name).partition(":")
        assert host in services
        assert f"--web.listen-address=0.0.0.0:{port}" in services[host]["command"]
        assert services[host]["ports"][0]["target"] == int(port)
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_PORT"] == str(settings.port("grafana"))
    own: tuple[Service, ...] = ("bot", "exchange", "inbox", "pages")
    for name in own:
        host, _, port = settings.address(name).partition(":")
        path = "livez" if name == "bot" else "healthz"
        assert f"127.0.0.1:{port}/{path}" in services[host]["healthcheck"]["test"][-1]
    assert settings.address("smtp").startswith("sandbox-inbox:")


def test_the_servers_read_what_render_writes(services: dict[str, Any]) -> None:
    assert "--out=/rendered" in services["render"]["command"]
    assert "--config.file=/rendered/prometheus/prometheus.yml" in services["prometheus"]["command"]
    assert "--config.file=/rendered/alertmanager/alertmanager.yml" in services["alertmanager"]["command"]
    for name in ("prometheus", "alertmanager", "grafana"):
        (mount,) = (volume for volume in services[name]["volumes"] if volume["target"] == "/rendered")
        assert mount["read_only"] is True
        assert services[name]["depends_on"]["render"]["condition"] == "service_completed_successfully"


def test_everything_that_must_outlive_a_container_lies_in_a_named_volume(
    document: dict[str, Any], services: dict[str, Any]
) -> None:
    mounts = {name: {volume["target"] for volume in service["volumes"]} for name, service in services.items()}
    assert "/data" in mounts["bot"] & mounts["retrain-schedule"]
    assert "/prometheus" in mounts["prometheus"]
    assert "/alertmanager" in mounts["alertmanager"]
    assert "/pushgateway" in mounts["pushgateway"]
    assert "/var/lib/grafana" in mounts["grafana"]
    named = {volume["source"] for s in services.values() for volume in s["volumes"] if volume["type"] == "volume"}
    assert named == set(document["volumes"])


def test_the_build_gets_what_the_image_copies_and_nothing_else() -> None:
    dockerfile = (ROOT / "desk/Dockerfile").read_text()
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_the_wheel_carries_the_static_configuration_the_inbox_s_templates_and_the_licence(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for folder, pattern in (("prometheus", "*.yml"), ("alertmanager", "**/*.tmpl"), ("grafana", "**/*.json")):
        files = [str(file.relative_to(ROOT)) for file in (ROOT / folder).glob(pattern)]
        assert files
        assert {f"nightdesk/assets/{file}" for file in files} <= inside
    templates = [str(file.relative_to(ROOT / "sandbox")) for file in (ROOT / "sandbox").rglob("templates/*.html")]
    assert templates
    assert set(templates) <= inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)


HOLDERS = {
    "render": {"prometheus", "alertmanager", "pushgateway"},
    "bot": {"alertmanager"},
    "retrain-schedule": {"alertmanager", "pushgateway"},
    "pages": {"prometheus", "alertmanager", "pushgateway", "pages"},
    "prometheus": {"prometheus", "alertmanager", "pushgateway", "pages"},
    "alertmanager": {"alertmanager"},
    "grafana": {"prometheus"},
}
"""Whom each server's password concerns."""


def test_each_server_s_password_is_there_only_for_whom_it_concerns(services: dict[str, Any]) -> None:
    held: dict[str, set[str]] = {}
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume["target"].startswith("/run/passwords"):
                assert (volume["type"], volume["read_only"]) == ("bind", True)
                assert not volume["bind"].get("create_host_path"), "a missing password must not become a folder"
                held.setdefault(name, set()).add(Path(volume["target"]).name.removesuffix("_password"))
    assert held == HOLDERS
    settings = settings_of(services["bot"])
    for name, servers in HOLDERS.items():
        for server in servers:
            assert str(password_file(settings, server)) in {volume["target"] for volume in services[name]["volumes"]}  # type: ignore[arg-type]


def test_the_three_servers_ask_for_a_password_and_can_be_ended_or_emptied_by_nobody(services: dict[str, Any]) -> None:
    for server in ("prometheus", "alertmanager", "pushgateway"):
        command = services[server]["command"]
        assert f"--web.config.file=/rendered/{server}/web.yml" in command
        assert not [flag for flag in command if "lifecycle" in flag or "admin-api" in flag]
        assert f"--web.external-url=http://127.0.0.1:8780/{server}/" in command
        assert "--web.route-prefix=/" in command
        assert "grep -q ' 401 '" in services[server]["healthcheck"]["test"][-1]
    assert "--web.cors.origin=^$$" in services["prometheus"]["command"]
    assert settings_of(services["pages"]).pages_url == "http://127.0.0.1:8780"


def test_the_links_in_alerts_lead_where_people_reach_the_page_server(tools: Tools) -> None:
    done = compose(tools, "config", "--format=json", NIGHTDESK_PAGES_URL="https://desk.example.com")
    found = json.loads(done.stdout)["services"]
    assert "--web.external-url=https://desk.example.com/prometheus/" in found["prometheus"]["command"]
    assert settings_of(found["pages"]).pages_url == "https://desk.example.com"
    elsewhere = json.loads(compose(tools, "config", "--format=json", NIGHTDESK_PAGES_PORT="9000").stdout)["services"]
    assert "--web.external-url=http://127.0.0.1:9000/alertmanager/" in elsewhere["alertmanager"]["command"]
