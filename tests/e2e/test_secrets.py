"""A canary in every secret, channels that all fail, and a search of everything that the stack leaves and shows."""

from __future__ import annotations

import base64
import secrets as randomness
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from nightdesk.passwords import url_with_login
from nightdesk.settings import Settings
from nightdesk.stack.tools import Tools
from nightdesk_core.secrets.secret_settings import environment_name, secret_fields

from tests.e2e.conftest import change, nightdesk, until
from tests.e2e.test_stack import Stack, stack_up

KEYS = tuple(secret_fields(Settings))
FREE = ("trendbot.exchange.options.apiKey", "trendbot.exchange.options.secret", "strategy.feed.token")
ALERTS = "operations.alerts."


def canary_of(number: int) -> str:
    """Return letters and digits alone, which no encoding but Base64 writes differently."""
    return f"c4nary{number:02}{randomness.token_hex(6)}"


CANARIES = {key: canary_of(number) for number, key in enumerate((*KEYS, *FREE))}


def secret(key: str, inbox: str, closed: int) -> str:
    """Return a secret such as the setting takes, its canary amid what encodings write differently."""
    canary = CANARIES[key]
    special = {
        f"{ALERTS}discord_webhook_url": f"{inbox}/api/webhooks/1/{canary}",
        f"{ALERTS}slack_webhook_url": f"{inbox}/services/T0/B0/{canary}",
        f"{ALERTS}telegram_bot_token": f"123:{canary}",
        f"{ALERTS}webhook_url": f"http://127.0.0.1:{closed}/{canary}?token={canary}",
        "bot.heartbeat_url": f"http://127.0.0.1:{closed}/ping/{canary}",
        f"{ALERTS}watchdog_url": f"http://me:{canary}@127.0.0.1:{closed}/{canary}",
    }
    return special.get(key, f"ä&'\"{canary}%/ +<")


def forms(canary: str) -> set[bytes]:
    """Return a canary as it is and within Base64, wherever it begins."""
    found = {canary.encode()}
    for before in range(3):
        whole = base64.b64encode(b"x" * before + canary.encode())
        found.add(whole[4 if before else 0 : len(whole) - 4])
    return found


FORMS = {form: key for key, canary in CANARIES.items() for form in forms(canary)}


def leaks(content: bytes, where: str) -> list[str]:
    """Return which secrets stand in a content."""
    return [f"{key} in {where}" for form, key in FORMS.items() if form in content]


def files(folder: Path) -> Iterator[Path]:
    """Yield the files of a stack's home but for those whose business a secret is."""
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "secrets" and "tools" not in path.relative_to(folder).parts[:1]:
            yield path


def command_lines() -> Iterator[tuple[str, bytes]]:
    """Yield the command line of each process of this machine."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield process.name, (process / "cmdline").read_bytes()
        except OSError:
            continue


@pytest.fixture
def planted(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings with a secret in every place: the odd ones in the environment, the others in files."""
    document = yaml.safe_load(settings_file.read_text())
    inbox = f"http://127.0.0.1:{document['stack']['ports']['inbox']}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    ports = document["stack"]["ports"]
    alerts = {
        "telegram_chat_id": "5",
        "telegram_api_url": f"http://127.0.0.1:{closed}",
        "email_smtp_server": "127.0.0.1",
        "email_smtp_port": ports["smtp"],
        "email_recipients": ["me@example.invalid"],
        "email_username": "desk",
        "email_require_tls": False,
    }
    change(settings_file, "operations", {"alerts": alerts})
    change(settings_file, "sandbox", {"inbox": {"smtp_username": "desk"}})
    change(settings_file, "strategy", {"feed": {"token": secret(FREE[2], inbox, closed)}})
    options = {key.rpartition(".")[2]: secret(key, inbox, closed) for key in FREE[:2]}
    change(settings_file, "trendbot", {"exchange": {"options": options}})
    document = yaml.safe_load(settings_file.read_text())
    for number, key in enumerate(KEYS):
        text = secret(key, inbox, closed)
        section = document
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
        if number % 2 or f"{last}_file" not in _fields(parents):
            monkeypatch.setenv(environment_name(key), text)
        else:
            file = settings_file.parent / "secrets" / last
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            file.chmod(0o600)
            section[f"{last}_file"] = str(file)
    settings_file.write_text(yaml.safe_dump(document))
    settings_file.chmod(0o600)
    return settings_file


def _fields(parents: list[str]) -> set[str]:
    model = Settings()
    for parent in parents:
        model = getattr(model, parent)
    return set(type(model).model_fields)


async def test_no_secret_is_in_a_command_line_a_log_a_page_a_bundle_or_a_file_that_is_not_for_it(
    planted: Path, tools: Tools, tmp_path: Path
) -> None:
    async with stack_up(planted, tools, tmp_path / "run.log") as stack:
        home, inbox = stack.settings.home, f"http://{stack.settings.address('inbox')}"
        for channel, reason in (("discord", "unknown_webhook"), ("slack", "invalid_token")):
            body = {"name": "refuse", "channel": channel, "seconds": 300, "reason": reason}
            requests.post(f"{inbox}/sandbox/fault", json=body, timeout=5)
        stack.command("kill", "--reason", "a drill")
        log = home / "logs" / "alertmanager.log"

        async def failed() -> bool:
            said = log.read_text()
            return all(word in said for word in ("telegram", "discord", "slack", "email", "watchdog"))

        # The heartbeat is the last: Prometheus drops what it evaluates before it has found Alertmanager, and sends
        # again after a minute.
        await until(failed, f"every channel to fail, see {log}", seconds=150)
        said = log.read_text()
        assert "***" in said, "what Alertmanager says of a failed delivery names the address"
        # The bot's own channels.
        found = _shown(stack)
        stack.command("stack", "stop", "alertmanager")
        stack.command("resume", "--reason", "the drill is over")
        stack.command("kill", "--reason", "a second drill")

        async def failed_directly() -> bool:
            said = (home / "logs" / "bot.jsonl").read_text()
            return all(f"alerts: {name}" in said for name in ("telegram", "discord", "slack", "webhook", "mail"))

        await until(failed_directly, "the bot's own channels to fail", seconds=60)
        found += [leak for name, line in command_lines() for leak in leaks(line, f"the command line of {name}")]
    found += leaks((tmp_path / "run.log").read_bytes(), "what `nightdesk run` printed")
    for path in files(home):
        found += leaks(path.read_bytes(), str(path.relative_to(home)))
    open_files = [
        path for path in (home / "rendered" / "alertmanager" / "secrets").iterdir() if path.stat().st_mode & 0o77
    ]
    assert found == []
    assert open_files == []


def _shown(stack: Stack) -> list[str]:
    """Return what pages and commands show of the secrets."""
    found = []
    bot, inbox = stack.settings.bot_url, f"http://{stack.settings.address('inbox')}"
    for url in (f"{bot}/metrics", f"{bot}/status", f"{bot}/healthz", inbox, f"{inbox}/api/messages"):
        found += leaks(requests.get(url, timeout=10).content, url)
    alertmanager = url_with_login(stack.settings, "alertmanager")
    prometheus = url_with_login(stack.settings, "prometheus")
    pages = [f"{prometheus}/api/v1/{path}" for path in ("status/config", "status/flags", "targets")]
    for url in (f"{alertmanager}/api/v2/status", *pages):
        shown = requests.get(url, timeout=10)
        assert shown.ok, f"{url}: {shown.status_code}"
        found += leaks(shown.content, url)
    for command in (["settings"], ["check"], ["status"], ["status", "--json"], ["models", "list"], ["audit", "verify"]):
        done = subprocess.run(nightdesk(stack.settings_file, *command), capture_output=True, timeout=120, check=False)
        found += leaks(done.stdout + done.stderr, f"`nightdesk {' '.join(command)}`")
    return found


def test_the_search_finds_a_secret_in_each_of_its_forms() -> None:
    for key, canary in CANARIES.items():
        for head in ("", "a", "ab", "user:"):
            for text in (head + canary, f"{head}{canary}=%&", base64.b64encode(f"{head}{canary}!".encode()).decode()):
                assert leaks(text.encode(), "here") == [f"{key} in here"]
