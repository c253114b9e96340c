from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk import assets
from nightdesk.assets import AssetsError, assets_folder
from nightdesk.render.configuration import RenderError, render
from nightdesk.render.rules import SERVERS
from nightdesk.settings import Settings, SettingsError
from nightdesk.stack.servers import alertmanager_command, grafana_command, prometheus_command, pushgateway_command
from nightdesk.stack.tools import Tools
from nightdesk_core.settings import override

from tests.disks import full_disk

ROOT = Path(__file__).resolve().parents[3]
PRODUCTION = "sandbox.enabled=false"


def settings(home: Path, *assignments: str) -> Settings:
    return Settings.model_validate(override({"home": str(home)}, list(assignments)))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def receivers(out: Path) -> dict[str, dict[str, Any]]:
    return {receiver["name"]: receiver for receiver in read(out / "alertmanager/alertmanager.yml")["receivers"]}


@pytest.mark.parametrize(
    "assignments",
    [
        (),
        (PRODUCTION,),
        ("stack.network=compose",),
        (PRODUCTION, "operations.alerts.discord_webhook_url=http://discord.example/x"),
        (PRODUCTION, "operations.alerts.enabled=false"),
        ("operations.alerts.alert_on_pause=false", "operations.alerts.watchdog_url=http://heartbeat.example/x"),
        (
            PRODUCTION,
            "operations.alerts.email_smtp_server=mail.example",
            "operations.alerts.email_recipients=[a@b.example]",
            "operations.alerts.email_password=x",
            "operations.alerts.email_username=u",
        ),
    ],
    ids=lambda assignments: ",".join(assignments) or "defaults",
)
def test_what_is_rendered_passes_the_servers_own_checks(
    tools: Tools, tmp_path: Path, assignments: tuple[str, ...]
) -> None:
    rendered = render(settings(tmp_path, *assignments), out=tmp_path / "out")
    checks: list[list[Path | str]] = [
        [tools.promtool, "check", "config", "--lint=all", "--lint-fatal", rendered.prometheus_config],
        [tools.amtool, "check-config", rendered.alertmanager_config],
    ]
    for check in checks:
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_in_production_the_rules_are_the_static_ones_to_the_byte(tmp_path: Path) -> None:
    render(settings(tmp_path, PRODUCTION), out=tmp_path / "out")
    static = {file.name: file.read_bytes() for file in (ROOT / "prometheus/rules").glob("*.yml")}
    written = {file.name: file.read_bytes() for file in (tmp_path / "out/prometheus/rules").glob("*.yml")}
    del written["inventory.yml"]
    assert written == static
    everywhere = read(tmp_path / "out/prometheus/prometheus.yml")["global"]
    assert everywhere == {"scrape_interval": "15s", "evaluation_interval": "15s", "scrape_timeout": "10s"}


def test_in_a_replay_waits_and_intervals_shrink_and_repeats_do_not(tmp_path: Path) -> None:
    render(settings(tmp_path), out=tmp_path / "out")
    everywhere = read(tmp_path / "out/prometheus/prometheus.yml")["global"]
    assert everywhere == {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    route = read(tmp_path / "out/alertmanager/alertmanager.yml")["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("5s", "5s", "12h")
    instant = route["routes"][1]
    assert (instant["group_wait"], instant["group_interval"], instant["repeat_interval"]) == ("0s", "1s", "1h")


def test_the_bot_is_a_target_and_stands_in_the_inventory(tmp_path: Path) -> None:
    out = tmp_path / "out"
    render(settings(tmp_path, "bot.name=eth", "stack.ports.bot=9999"), out=out)
    targets = json.loads((out / "prometheus/targets/bots.json").read_text())
    assert targets == [{"targets": ["127.0.0.1:9999"], "labels": {"bot": "eth"}}]
    (group,) = read(out / "prometheus/rules/inventory.yml")["groups"]
    assert group["rules"] == [
        {"record": record, "expr": "vector(1)", "labels": {label: value}}
        for record, label, value in (
            ("bot:tradebot_expected:info", "bot", "eth"),
            ("bot:tradebot_retrain_expected:info", "bot", "eth"),
            *(("server:nightdesk_expected:info", "server", server) for server in SERVERS),
        )
    ]


@pytest.mark.parametrize(
    ("network", "bot", "prometheus", "inbox"),
    [
        ("native", "127.0.0.1:8700", "127.0.0.1:8790", "127.0.0.1:8702"),
        ("compose", "bot:8700", "prometheus:8790", "sandbox-inbox:8702"),
    ],
)
def test_every_address_is_the_networks(tmp_path: Path, network: str, bot: str, prometheus: str, inbox: str) -> None:
    out = tmp_path / "out"
    render(settings(tmp_path, f"stack.network={network}"), out=out)
    config = read(out / "prometheus/prometheus.yml")
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["prometheus"]["static_configs"] == [{"targets": [prometheus]}]
    assert bot in (out / "prometheus/targets/bots.json").read_text()
    source = read(out / "grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
    assert source["url"] == f"http://{prometheus}"
    secret = out / "alertmanager/secrets/discord_url"
    assert secret.read_text() == f"http://{inbox}/api/webhooks/1/nightdesk"


def test_with_no_channel_of_ones_own_the_sandbox_takes_both(tmp_path: Path) -> None:
    out = tmp_path / "out"
    render(settings(tmp_path), out=out)
    found = receivers(out)
    assert found["page"]["email_configs"][0]["to"] == "desk@nightdesk.invalid"
    assert "discord_configs" in found["notice"]
    assert "email_configs" not in found["notice"]
    assert found["watchdog"] == {"name": "watchdog"}
    everything = read(out / "alertmanager/alertmanager.yml")["global"]
    assert everything["smtp_smarthost"] == "127.0.0.1:8725"
    assert everything["smtp_require_tls"] is False


def test_a_channel_of_ones_own_replaces_the_sandboxs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    render(settings(tmp_path, "operations.alerts.discord_webhook_url=http://discord.example/mine"), out=out)
    assert (out / "alertmanager/secrets/discord_url").read_text() == "http://discord.example/mine"
    assert "email_configs" not in receivers(out)["page"]


def test_mail_takes_over_what_discord_would_have_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    mail = ("operations.alerts.email_smtp_server=mail.example", "operations.alerts.email_recipients=[a@x, b@x]")
    render(settings(tmp_path, PRODUCTION, *mail), out=out)
    found = receivers(out)
    for name, resolved in (("page", True), ("notice", True), ("event", False)):
        (entry,) = found[name]["email_configs"]
        assert entry["to"] == "a@x, b@x"
        assert entry["send_resolved"] is resolved
        assert "discord_configs" not in found[name]


def test_without_any_channel_in_production_no_secret_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    render(settings(tmp_path, PRODUCTION), out=out)
    assert not (out / "alertmanager/secrets").exists()
    assert all(set(receiver) == {"name"} for receiver in receivers(out).values())


def test_secrets_are_the_owners_only_and_in_no_other_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "url").write_text("http://discord.example/s3cret-discord\n")
    render(
        settings(
            tmp_path,
            PRODUCTION,
            f"operations.alerts.discord_webhook_url_file={tmp_path}/url",
            "operations.alerts.email_smtp_server=mail.example",
            "operations.alerts.email_recipients=[a@x]",
            "operations.alerts.email_username=desk",
            "operations.alerts.email_password=s3cret-mail",
            "operations.alerts.watchdog_url=http://heartbeat.example/s3cret-watchdog",
        ),
        out=out,
    )
    secrets = {file.name: file.read_text() for file in (out / "alertmanager/secrets").iterdir()}
    assert secrets == {
        "discord_url": "http://discord.example/s3cret-discord",
        "smtp_password": "s3cret-mail",
        "watchdog_url": "http://heartbeat.example/s3cret-watchdog",
    }
    assert {file.stat().st_mode & 0o777 for file in (out / "alertmanager/secrets").iterdir()} == {0o600}
    assert (out / "alertmanager/secrets").stat().st_mode & 0o777 == 0o700
    others = [file for file in out.rglob("*") if file.is_file() and file.parent.name != "secrets"]
    assert not [file for file in others if b"s3cret" in file.read_bytes()]
    assert receivers(out)["watchdog"]["webhook_configs"][0]["url_file"] == str(
        out / "alertmanager/secrets/watchdog_url"
    )


def test_mail_that_is_half_configured_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        render(settings(tmp_path, "operations.alerts.email_smtp_server=mail.example"), out=tmp_path / "out")
    assert error.value.problems == ("email_smtp_server and email_recipients need each other; set both or neither",)
    assert not (tmp_path / "out").exists()


def test_alerts_that_are_off_go_nowhere(tmp_path: Path) -> None:
    render(settings(tmp_path, "operations.alerts.enabled=false"), out=tmp_path / "out")
    assert read(tmp_path / "out/alertmanager/alertmanager.yml")["route"] == {"receiver": "none"}


@pytest.mark.parametrize(
    ("key", "muted", "heard"),
    [
        ("alert_on_pause", "TradebotGuardPaused", "TradebotKillSwitchActive"),
        ("alert_on_pause", "TradebotGuardReduced", "TradebotDown"),
        ("alert_on_kill_switch", "TradebotKillSwitchActive", "TradebotGuardPaused"),
        ("alert_on_model_rotation", "TradebotModelPromoted", "TradebotModelStale"),
    ],
)
def test_a_kind_of_alert_can_be_switched_off_alone(
    tools: Tools, tmp_path: Path, key: str, muted: str, heard: str
) -> None:
    rendered = render(settings(tmp_path, f"operations.alerts.{key}=false"), out=tmp_path / "out")
    route = [str(tools.amtool), "config", "routes", "test", f"--config.file={rendered.alertmanager_config}"]
    for name, goes_nowhere in ((muted, True), (heard, False)):
        done = subprocess.run(
            [*route, "--verify.receivers=none", f"alertname={name}", "severity=critical", "bot=btc"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is goes_nowhere, name


def test_only_what_changed_is_written_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = render(settings(tmp_path), out=out)
    assert "prometheus/prometheus.yml" in first.changed
    assert first.changed.index("alertmanager/secrets/discord_url") < first.changed.index(
        "alertmanager/alertmanager.yml"
    )
    assert render(settings(tmp_path), out=out).changed == ()

    stray = out / "prometheus/rules/old.yml"
    stray.write_text("groups: []\n")
    before = (out / "prometheus/rules/trading.yml").stat().st_mtime_ns
    changed = render(settings(tmp_path, "stack.ports.bot=9999"), out=out).changed
    assert changed == ("prometheus/targets/bots.json", "prometheus/rules/old.yml")
    assert not stray.exists()
    assert (out / "prometheus/rules/trading.yml").stat().st_mtime_ns == before


def test_a_disk_that_takes_nothing_is_said_in_words_and_what_was_rendered_before_stays(tmp_path: Path) -> None:
    """Raw, it would end whoever renders while the stack runs."""
    out = tmp_path / "out"
    render(settings(tmp_path), out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with (
        full_disk(),
        pytest.raises(RenderError, match=r"cannot be written \(File too large\): what was"),
    ):
        render(settings(tmp_path, "stack.ports.bot=9999"), out=out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_secret_that_others_could_read_is_closed_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    render(settings(tmp_path), out=out)
    secret = out / "alertmanager/secrets/discord_url"
    secret.chmod(0o644)
    render(settings(tmp_path), out=out)
    assert secret.stat().st_mode & 0o777 == 0o600


def test_somebody_elses_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "prometheus" / "rules.yml"
    precious.parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(RenderError) as error:
        render(settings(tmp_path), out=tmp_path)
    assert str(error.value) == (
        f"{tmp_path} is neither empty nor a folder that was rendered before; name another with --out"
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [precious]


def test_an_installation_brings_its_assets_and_a_checkout_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert assets_folder() == ROOT
    package = tmp_path / "lib/site-packages/nightdesk"
    monkeypatch.setattr(assets, "__file__", str(package / "assets.py"))
    with pytest.raises(AssetsError, match="install nightdesk again"):
        assets_folder()
    (package / "assets/prometheus").mkdir(parents=True)
    (package / "assets/prometheus/prometheus.yml").touch()
    assert assets_folder() == package / "assets"


def test_the_servers_listen_on_loopback_and_keep_their_data_in_home(tmp_path: Path) -> None:
    binary = tmp_path / "grafana-home/bin/grafana"
    programs = Tools(*(Path(f"/t/{name}") for name in ("prometheus", "pt", "alertmanager", "at", "pushgateway", "dc")))
    home = settings(tmp_path, "retention.prometheus_days=1.5", "stack.ports.prometheus=9001")
    rendered = render(home, out=tmp_path / "out")
    assert prometheus_command(home, programs, rendered) == [
        "/t/prometheus",
        f"--config.file={tmp_path}/out/prometheus/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/prometheus",
        "--storage.tsdb.retention.time=36h",
        "--storage.tsdb.retention.size=2000MB",
        "--web.listen-address=127.0.0.1:9001",
        f"--web.config.file={tmp_path}/out/prometheus/web.yml",
        "--web.external-url=http://127.0.0.1:8780/prometheus/",
        "--web.route-prefix=/",
        "--web.cors.origin=^$",
        "--rules.alert.for-grace-period=1s",
    ]
    assert alertmanager_command(home, programs, rendered) == [
        "/t/alertmanager",
        f"--config.file={tmp_path}/out/alertmanager/alertmanager.yml",
        f"--storage.path={tmp_path}/alertmanager",
        "--web.listen-address=127.0.0.1:8793",
        f"--web.config.file={tmp_path}/out/alertmanager/web.yml",
        "--web.external-url=http://127.0.0.1:8780/alertmanager/",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    ]
    assert pushgateway_command(home, programs, rendered) == [
        "/t/pushgateway",
        f"--persistence.file={tmp_path}/pushgateway/metrics.db",
        "--persistence.interval=15s",
        "--web.listen-address=127.0.0.1:8791",
        f"--web.config.file={tmp_path}/out/pushgateway/web.yml",
        "--web.external-url=http://127.0.0.1:8780/pushgateway/",
        "--web.route-prefix=/",
    ]
    assert grafana_command(home, binary, rendered)[:3] == [
        str(binary),
        "server",
        f"--homepath={tmp_path}/grafana-home",
    ]
    assert all((tmp_path / name).is_dir() for name in ("prometheus", "alertmanager", "pushgateway", "grafana"))
