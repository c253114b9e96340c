"""A channel that nobody has heard of arrives everywhere by its module alone, which lies beside the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools

from tests.desk.conftest import CHECKOUT

MODULE = '''
from dataclasses import dataclass, field

from nightdesk_alerts.addresses import url_problems
from nightdesk_alerts.channel import Channel, Role, Secret, setting
from nightdesk_alerts.delivery.outcome import Delivered


@dataclass(frozen=True, kw_only=True)
class PagerChannel(Channel):
    """A pager of those that people wore on their belts."""

    name = "pager"
    title = "a pager"
    how = "ask your grandparents"
    role = Role.CHAT
    receiver_kind = "pushover_configs"
    receiver = """\\
user_key_file: secrets/pager_user
token_file: secrets/pager_token
url: http://nowhere
http_config:
  basic_auth:
    username: belt
    password_file: secrets/pager_password
send_resolved: true
"""

    token: str = field(
        repr=False, metadata=setting("pager_token", "The token.", secret=Secret("pager_token", "the token"))
    )
    user: str = field(repr=False, metadata=setting("pager_user", "The user.", secret=Secret("pager_user", "the user")))
    url: str = field(default="http://pager", metadata=setting("pager_url", "Where pagers are called."))
    password: str = field(
        default="",
        repr=False,
        metadata=setting("pager_password", "A password.", secret=Secret("pager_password", "a password")),
    )

    def deliver(self, notice, web):
        return Delivered()

    def problems(self):
        return url_problems("pager_url", self.url)

    def receiver_values(self):
        return {"url": self.url}

    @classmethod
    def in_sandbox(cls, inbox, values):
        return cls(token="t", user="u", url=f"{inbox.url}/pager")


CHANNEL = PagerChannel
'''

SCRIPT = """
import json, sys
from pathlib import Path

folder, checkout = Path(sys.argv[1]), Path(sys.argv[2])
import nightdesk_alerts.channels

nightdesk_alerts.channels.__path__.append(str(folder))

from nightdesk.channels import channels
from nightdesk.check.channels import check_channels
from nightdesk.logbook import secrets
from nightdesk.reference import reference
from nightdesk.render.alertmanager import render_alertmanager
from nightdesk.render.static import static_parts, with_channels
from nightdesk.settings import load
from nightdesk_alerts.delivery.destinations import destinations
from nightdesk_core.errors import NightdeskError
from nightdesk_alerts.moved_chats import MovedChats
from nightdesk_core.secrets.redaction import Redaction
from nightdesk_exporter import Alerting


def attempt(*assignments):
    try:
        return check_channels(load(folder / "nightdesk.yml", list(assignments)))
    except NightdeskError as error:
        return str(error)


pager = ["operations.alerts.pager_token=s3cret-token", f"operations.alerts.pager_user_file={folder / 'user'}"]
production = "sandbox.enabled=false"
settings = load(folder / "nightdesk.yml", [production, *pager])
alerting = Alerting(pager_token="s3cret-token", pager_user="s3cret-user")
static = {
    name: with_channels((checkout / name).read_text(encoding="utf-8"), parts) for name, parts in static_parts().items()
}
(folder / "alertmanager").mkdir()
(folder / "alertmanager/alertmanager.yml").write_text(static["alertmanager/alertmanager.yml"])
rendered = render_alertmanager(settings, folder, out=folder / "out")
for path, file in rendered.items():
    (folder / "out" / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / "out" / path).write_bytes(file.content)
places = destinations(alerting, 1.0, MovedChats(None))
print(json.dumps({
    "keys": [name for name in type(settings.operations.alerts).model_fields if name.startswith("pager")],
    "reference": reference(),
    "direct": alerting.direct,
    "of the settings": channels(settings).alerting == Alerting(
        alertmanagers=("http://127.0.0.1:8793",), pager_token="s3cret-token", pager_user="s3cret-user"
    ),
    "repr": repr(alerting) + repr(settings) + repr(channels(settings)),
    "destinations": [(place.name, type(place.deliver("tell", None)).__name__) for place in places],
    "in the sandbox": attempt(),
    "checked": attempt(production, *pager),
    "nothing": attempt(production),
    "malformed": attempt(production, *pager, "operations.alerts.pager_url=ftp://x"),
    "half": attempt(production, pager[0]),
    "static": static,
    "rendered": rendered["alertmanager/alertmanager.yml"].content.decode(),
    "secrets": {path: file.content.decode() for path, file in rendered.items() if file.readers == "owner"},
    "redacted": Redaction(secrets(settings)).text("got s3cret-token of s3cret-user"),
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("channels")
    (folder / "pager.py").write_text(MODULE)
    (folder / "user").write_text("s3cret-user\n")
    (folder / "nightdesk.yml").write_text("")
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """Return what a process found that has the pager beside the other channels."""
    command = [sys.executable, "-c", SCRIPT, str(folder), str(CHECKOUT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_it_has_its_keys_in_the_settings_and_in_their_reference(found: dict[str, Any]) -> None:
    keys = ["pager_token", "pager_token_file", "pager_user", "pager_user_file", "pager_url"]
    assert found["keys"] == [*keys, "pager_password", "pager_password_file"]
    assert "| `pager_token` | text, kept secret | `''` |  | The token. |" in found["reference"]
    assert "| `pager_user_file` | path or null | `null` |  | A file that holds the user. |" in found["reference"]
    assert "| `pager_url` | text | `http://pager` |  | Where pagers are called. |" in found["reference"]


def test_a_bot_is_given_it_by_keyword_or_by_the_settings_and_delivers_to_it(found: dict[str, Any]) -> None:
    assert found["direct"] == ["pager"]
    assert found["of the settings"] is True
    assert found["destinations"] == [["pager", "Delivered"]]


def test_it_is_checked_under_its_own_title(found: dict[str, Any]) -> None:
    assert found["checked"] == "a pager"
    assert found["in the sandbox"] == "Discord, a pager and e-mail of the sandbox's inbox"
    assert "discord_webhook_url_file, pager_token_file, slack_webhook_url_file," in found["nothing"]
    assert found["malformed"] == "operations.alerts.pager_url is no address: it must read https://host/…"
    assert "pager_token and pager_user need each other; set both or neither" in found["half"]


def test_alertmanager_is_given_it_in_the_static_file_and_in_the_running_one(
    found: dict[str, Any], folder: Path, tools: Tools
) -> None:
    static = yaml.safe_load(found["static"]["alertmanager/alertmanager.yml"])
    entries = {each["name"]: each.get("pushover_configs") for each in static["receivers"]}
    assert [entries[name][0]["send_resolved"] for name in ("page", "notice", "event")] == [True, True, False]
    assert entries["watchdog"] is None
    secrets = folder / "out" / "alertmanager" / "secrets"
    running = {each.pop("name"): each for each in yaml.safe_load(found["rendered"])["receivers"]}
    assert running["page"] == {
        "pushover_configs": [
            {
                "user_key_file": str(secrets / "pager_user"),
                "token_file": str(secrets / "pager_token"),
                "url": "http://pager",
                "http_config": {"basic_auth": {"username": "belt"}},
                "send_resolved": True,
            }
        ]
    }
    assert running["notice"] == running["page"]
    assert found["secrets"] == {
        "alertmanager/secrets/pager_token": "s3cret-token",
        "alertmanager/secrets/pager_user": "s3cret-user",
    }
    for file in (folder / "alertmanager/alertmanager.yml", folder / "out/alertmanager/alertmanager.yml"):
        done = subprocess.run([tools.amtool, "check-config", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_deployment_and_the_documents_have_it_too(found: dict[str, Any]) -> None:
    compose = found["static"]["docker-compose.yml"]
    assert "--set=operations.alerts.pager_user_file=/run/secrets/pager_user" in compose
    assert {"pager_token", "pager_user"} <= set(yaml.safe_load(compose)["secrets"])
    row = "| a pager | ask your grandparents | `pager_token_file`, `pager_user_file`, `pager_url`, "
    assert row in found["static"]["docs/alerts.md"]


def test_its_secrets_show_nowhere(found: dict[str, Any]) -> None:
    assert found["redacted"] == "got *** of ***"
    assert "s3cret" not in found["repr"] + found["rendered"]
