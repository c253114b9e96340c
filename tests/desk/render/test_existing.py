"""All that somebody else's servers need: scraped, merged, imported and applied as their own programs take it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from nightdesk.assets import assets_folder
from nightdesk.channels import own_channels
from nightdesk.cli.existing import _bots
from nightdesk.cli.main import app
from nightdesk.render.existing import Existing, files_for_existing
from nightdesk.render.receivers import FILE, PREFIX
from nightdesk.render.rules import Inventory
from nightdesk.settings import Settings
from nightdesk.stack.tools import Tools
from nightdesk_core.settings import override
from typer.testing import CliRunner

from tests.desk.conftest import Load
from tests.desk.render.test_channels import CHANNELS, WATCHDOG

THEIRS: dict[str, Any] = {
    "global": {"resolve_timeout": "7m"},
    "route": {"receiver": "page", "routes": [{"matchers": ['alertname="Watchdog"'], "receiver": "page"}]},
    "inhibit_rules": [],
    "receivers": [{"name": "page"}, {"name": "notice"}],
}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$"


def strict(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = strict(["name"], name={"pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"}, labels=TEXTS)
    version = {"const": "monitoring.coreos.com/v1"}
    return strict(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion=version,
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


# Written by hand from what the operator's two resources may hold, as far as ours use it: anything else is refused.
RULE = strict(
    ["expr"],
    alert={"type": "string"},
    record={"type": "string"},
    expr={"type": ["string", "integer"]},
    labels=TEXTS,
    annotations=TEXTS,
    **{"for": {"type": "string", "pattern": DURATION}, "keep_firing_for": {"type": "string", "pattern": DURATION}},
)
GROUP = strict(
    ["name"],
    name={"type": "string", "minLength": 1},
    interval={"type": "string", "pattern": DURATION},
    rules={"type": "array", "items": RULE},
)
RELABELING = strict(
    [],
    sourceLabels={"type": "array", "items": {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}},
    targetLabel={"type": "string"},
    replacement={"type": "string"},
)
ENDPOINT = strict(
    [],
    port={"type": "string", "pattern": "^[a-z0-9-]{1,15}$"},
    path={"type": "string"},
    relabelings={"type": "array", "items": RELABELING},
)
EXPRESSION = strict(["key", "operator"], key={"type": "string"}, operator={"const": "Exists"})
SCHEMAS = {
    "prometheusrule": resource("PrometheusRule", strict([], groups={"type": "array", "items": GROUP})),
    "podmonitor": resource(
        "PodMonitor",
        strict(
            ["selector", "podMetricsEndpoints"],
            selector=strict(["matchExpressions"], matchExpressions={"type": "array", "items": EXPRESSION}),
            podMetricsEndpoints={"type": "array", "minItems": 1, "items": ENDPOINT},
        ),
    ),
}


def merged(theirs: Any, ours: Any) -> Any:
    """Merge as the page says: each list of ours is added to theirs of that name."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return {key: merged(theirs.get(key), ours.get(key)) for key in {**theirs, **ours}}
    if ours is None:
        return theirs
    return ours if theirs is None else [*theirs, *ours]


def written(folder: Path, *assignments: str, **what: Any) -> Path:
    """Write the files to a folder."""
    settings = Settings.model_validate(override({"home": str(folder)}, ["sandbox.enabled=false", *assignments]))
    defaults: dict[str, Any] = {"inventory": Inventory(("mine",)), "targets": {"mine": "10.0.0.5:8700"}}
    existing = Existing(**defaults | {"channels": own_channels(settings)} | what)
    for name, file in files_for_existing(existing, assets_folder(), out=folder / "out").items():
        (folder / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / name).write_bytes(file.content)
    return folder / "out"


@pytest.mark.parametrize("names", [(), ("discord",), ("mail",), ("telegram", "mail"), tuple(CHANNELS)])
def test_alertmanager_takes_what_is_merged_and_no_name_of_theirs_is_taken(
    names: tuple[str, ...], tmp_path: Path, tools: Tools
) -> None:
    own = [each for name in names for each in CHANNELS[name]]
    out = written(tmp_path, *own, *([WATCHDOG] if names else []))
    ours = yaml.safe_load((out / FILE).read_text())
    document = merged(THEIRS, ours)
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(document))
    subprocess.run([tools.amtool, "check-config", tmp_path / "alertmanager.yml"], check=True)
    assert set(ours) == {"templates", "route", "inhibit_rules", "receivers"}
    assert all(receiver["name"].startswith(PREFIX) for receiver in ours["receivers"])
    page = next(each for each in ours["receivers"] if each["name"] == f"{PREFIX}page")
    assert len(page) - 1 == len({"email" if name == "mail" else name for name in names})
    if "mail" in names:
        assert page["email_configs"][0]["smarthost"] == "mail.example:587"


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=TradebotDown severity=critical bot=mine", "nightdesk-page"),
        ("alertname=TradebotNoTrades severity=warning bot=mine", "nightdesk-notice"),
        ("alertname=TradebotModelPromoted severity=info bot=mine", "nightdesk-event"),
        ("alertname=PushgatewayDown severity=critical", "nightdesk-page"),
        ("alertname=TheirDiskFull severity=critical bot=mine", "page"),
        ("alertname=Watchdog severity=none", "page,nightdesk-watchdog"),
    ],
)
def test_our_alerts_go_to_our_receivers_and_theirs_to_theirs(
    labels: str, receivers: str, tmp_path: Path, tools: Tools
) -> None:
    """Theirs stand before ours: a heartbeat of theirs is not lost to ours, and ours is beside it where it goes on."""
    theirs = merged(THEIRS, None)
    theirs["route"] = {**theirs["route"], "routes": [{**theirs["route"]["routes"][0], "continue": True}]}
    ours = yaml.safe_load((written(tmp_path, *CHANNELS["discord"]) / FILE).read_text())
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(merged(theirs, ours)))
    command = [str(tools.amtool), "config", "routes", "test", f"--config.file={file}", *labels.split()]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == receivers


def test_without_the_stack_s_rules_alerts_of_their_names_stay_with_whoever_has_them(tmp_path: Path) -> None:
    ours = yaml.safe_load((written(tmp_path, without=["stack", "retrain"]) / FILE).read_text())
    (matcher,) = ours["route"]["routes"][-1]["matchers"]
    assert "AlertmanagerDown" not in matcher
    assert all('alertname=~"Tradebot.+"' in rule["target_matchers"] for rule in ours["inhibit_rules"])


def test_prometheus_takes_rules_and_jobs_and_each_bot_has_its_label(tmp_path: Path, tools: Tools) -> None:
    targets = {"mine": "10.0.0.5:8700", 'ä "b"': "[::1]:8701"}
    inventory = Inventory(tuple(targets))
    out = written(tmp_path, inventory=inventory, targets=targets, jobs={"tradebot": "crypto/bots"})
    document = {"rule_files": [f"{out}/*.yml"], "scrape_config_files": [f"{out}/scrape/nightdesk.yml"]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(document))
    subprocess.run([tools.promtool, "check", "config", tmp_path / "prometheus.yml"], check=True)
    (job,) = yaml.safe_load((out / "scrape/nightdesk.yml").read_text())["scrape_configs"]
    assert job["job_name"] == "crypto/bots"
    assert {each["labels"]["bot"]: each["targets"][0] for each in job["static_configs"]} == targets


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("without", [[], ["retrain", "stack"]])
def test_the_operator_s_resources_hold_what_the_operator_takes(kind: str, without: list[str], tmp_path: Path) -> None:
    out = written(tmp_path, without=without, jobs={"tradebot": "crypto"})
    found = yaml.safe_load((out / f"kubernetes/{kind}.yaml").read_text())
    jsonschema.Draft202012Validator(SCHEMAS[kind]).validate(found)
    if kind == "prometheusrule":
        names = [group["name"] for group in found["spec"]["groups"]]
        assert len(names) == len(set(names)), "the operator's list is one by name"
        groups = [group for file in out.glob("*.yml") for group in yaml.safe_load(file.read_text())["groups"]]
        assert sorted(found["spec"]["groups"], key=str) == sorted(groups, key=str)
    else:
        bot, job = found["spec"]["podMetricsEndpoints"][0]["relabelings"]
        assert job == {"targetLabel": "job", "replacement": "crypto"}
        assert bot["sourceLabels"] == ["__meta_kubernetes_pod_label_nightdesk_bot"]


def test_a_dashboard_asks_the_source_that_is_chosen_by_the_names_that_a_person_has(tmp_path: Path) -> None:
    text = (written(tmp_path, jobs={"tradebot": "crypto/bots"}) / "grafana/nightdesk.json").read_text()
    dashboard = json.loads(text)
    sources = re.findall(r'"uid": "([^"]*)"', text)
    assert set(sources) == {"${datasource}", dashboard["uid"]}
    first, bot = dashboard["templating"]["list"][:2]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    assert bot["definition"] == 'label_values(up{job="crypto/bots"}, bot)'
    assert 'job=\\"tradebot\\"' not in text
    assert dashboard["id"] is None


@given(
    st.text(min_size=1).filter(lambda name: not re.search(r"=[^=]*:\d{1,5}\Z", name)),
    st.sampled_from(["127.0.0.1:8700", "host.example:1", "[::1]:65535"]),
)
def test_a_bot_is_its_name_with_or_without_an_address(name: str, address: str) -> None:
    assert _bots([name], None) == {name: ""}
    if "\n" not in name:
        assert _bots([f"{name}={address}"], None) == {name: address}


def test_the_command_writes_all_of_it_says_each_step_and_keeps_secrets_to_their_owner(
    tmp_path: Path, settings_file: Path
) -> None:
    settings_file.write_text(settings_file.read_text() + "sandbox: {enabled: false}\n")
    (tmp_path / "hook").write_text("https://host/s3cret")
    key = CHANNELS["webhook"][0].partition("=")[0]
    arguments = ["--settings", str(settings_file), "--set", f"{key}_file={tmp_path / 'hook'}"]
    done = CliRunner().invoke(app, [*arguments, "rules", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.exception
    secret = tmp_path / "out/alertmanager/secrets/webhook_url"
    assert secret.read_text() == "https://host/s3cret"
    for file in (tmp_path / "out").rglob("[!.]*.*"):
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == 0o644, file
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "s3cret" not in done.stdout
    for said in ("rule_files: [", "scrape_config_files: [", "promtool", "webhook_url", "Import", "kubectl apply -f"):
        assert said in done.stdout


def test_the_bots_are_those_of_the_settings_where_none_is_named(settings_with: Load) -> None:
    settings = settings_with("bot.name=mine")
    assert _bots((), settings) == {"mine": settings.address("bot")}
    assert _bots((), settings_with('stack.bots={"a": "10.0.0.1:1", "b": "10.0.0.2:1"}')) == {
        "a": "10.0.0.1:1",
        "b": "10.0.0.2:1",
    }
    assert _bots(("c",), settings) == {"c": ""}
