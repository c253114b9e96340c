"""Whatever a file, a setting or a message holds: an error of ours or an answer, within a second."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from nightdesk import settings as desk_settings
from nightdesk_alerts.delivery.spool import open_spool
from nightdesk_alerts.delivery.web_response import WebResponse
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import WallTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.json_text import parse_json
from nightdesk_core.files.yaml_text import parse_yaml
from nightdesk_core.models.bundle import Manifest
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_exporter import StatusFile
from nightdesk_exporter.web.config_file import read_web_config
from nightdesk_guard import KillSwitch, ResumeFile, profile
from nightdesk_guard.store import SmallStore
from nightdesk_retrain import state
from nightdesk_retrain.judgement.trials import TrialLedger
from nightdesk_sandbox.dialect import parse
from nightdesk_sandbox.inbox import discord_message, slack_message
from nightdesk_trendbot.live import DecisionLog

from tests.campaigns import SEED, cases
from tests.odd_files import BAD_CONTENT, ODD_FILES, at_most

NOW = WallTime(1_571_302_800.0)
SEEDS = (
    b'{"active": true, "reason": "x", "actor": "me", "changed_at": 1.5, "activations": 1, "positions": "keep"}',
    b'{"version": "v1", "standing": "champion", "promoted_at": 1.0, "previous": null, "earlier": [["v2", "champion"]]}',
    b'{"schema_version": 1, "bot": {"updated_at": 1, "stale_after": 2}}',
    b'{"version": 1, "alerts": [{"labels": {"alertname": "X"}}]}',
    b'{"content": "x", "embeds": [{"title": "t", "fields": [{"name": "a", "value": "b"}]}]}',
    b'{"actor": "a", "details": {}, "event": "e", "previous": "0", "seq": 1, "time": "2019-10-17T09:00:00Z"}\n',
    b'[{"key": "manual-1", "cause": "manual", "reason": "r", "actor": "a", "at": 1.0, "requested_at": 1.0}]',
    b"home: .\nbot: {name: btc, state_dir: state}\nguard: &g {cool_down_days: 1}\nstrategy: {a: [*g, *g]}\n",
    b"tls_server_config: {cert_file: a, key_file: b}\nbasic_auth_users: {a: b}\n",
)
PIECES = (
    *(
        b"[",
        b"{",
        b'{"a":',
        b"]",
        b"}",
        b'"',
        b"\\",
        b"\\ud800",
        b"\\u0000",
        b"\0",
        b"\xff",
        b"NaN",
        b"1e999",
        b"-",
        b",",
    ),
    *(
        b"9" * 5_000,
        b"[" * 3_000,
        b'{"a":' * 3_000,
        b"- " * 3_000,
        b"&a ",
        b"*a",
        b"<<: *a\n",
        b"!!python/name:os.system ",
    ),
    *(
        b": ",
        b"? ",
        b"|\n",
        b"%",
        b"\n",
        b"\t",
        b".inf",
        b"0x",
        b"1:1:1",
        b"2019-13-99",
        b"null",
        b"\xe2\x80\xa8",
        b"#",
        b"~",
    ),
)


@dataclass(frozen=True)
class Source:
    """Something that is read from outside, from a file in a folder or from bytes."""

    read: Callable[[Path, bytes], object]
    file: str = ""


SOURCES: dict[str, Source] = {
    "kill switch": Source(lambda folder, _: KillSwitch(folder).state(), "kill_switch.json"),
    "KILL": Source(lambda folder, _: KillSwitch(folder).state(), "KILL"),
    "resume": Source(lambda folder, _: ResumeFile(folder).last(), "guard_resume.json"),
    "guard store": Source(lambda folder, _: SmallStore(folder), "guard_memory.json"),
    "guard profile": Source(lambda folder, _: profile.read(folder), "guard.json"),
    "champion": Source(lambda folder, _: ModelRegistry(folder).champion(), "champion.json"),
    "manifest": Source(lambda folder, _: Manifest.read(folder), "manifest.json"),
    "status file": Source(lambda folder, _: StatusFile(folder / "status.json").read(), "status.json"),
    "audit log": Source(lambda folder, _: AuditLog(folder / "audit.jsonl").append("x", {}, actor="x"), "audit.jsonl"),
    "requests": Source(
        lambda folder, _: RetrainRequests(folder, AuditLog(folder / "a.jsonl")).pending(), "retrain_requests.json"
    ),
    "spool": Source(lambda folder, _: open_spool(folder / "spool.json", lambda: NOW)[0].close(), "spool.json"),
    "job state": Source(lambda folder, _: state.load(folder), "retrain.json"),
    "trials": Source(lambda folder, _: TrialLedger(folder).trials(), "trials.jsonl"),
    "decisions": Source(lambda folder, _: DecisionLog(folder / "d.jsonl").read(), "d.jsonl"),
    "settings": Source(lambda folder, _: desk_settings.load(folder / "nightdesk.yml"), "nightdesk.yml"),
    "web configuration": Source(lambda folder, _: read_web_config(folder / "web.yml"), "web.yml"),
    "json": Source(lambda _, content: parse_json(content, source="x")),
    "yaml": Source(lambda _, content: parse_yaml(content.decode(errors="replace"), source="x")),
    "an answer": Source(lambda _, content: WebResponse(200, {}, content).json()),
    "a stream's message": Source(lambda _, content: parse(content.decode(errors="replace"))),
    "a message to Discord": Source(lambda _, content: discord_message.parse(content)),
    "a message to Slack": Source(lambda _, content: slack_message.parse(content)),
}
IN_FILES = [name for name, source in SOURCES.items() if source.file]


def drawn_content(drawn: random.Random) -> bytes:
    content = bytearray(drawn.choice(SEEDS))
    for _ in range(drawn.randrange(4)):
        at = drawn.randrange(len(content) + 1)
        kind = drawn.randrange(4)
        if kind == 0:
            content[at:at] = drawn.choice(PIECES)
        elif kind == 1:
            del content[at : at + drawn.randrange(1, 30)]
        elif kind == 2:
            content[at:at] = content[at : at + drawn.randrange(1, 60)] * drawn.randrange(1, 4)
        else:
            content[at : at + 1] = bytes([drawn.randrange(256)])
    return bytes(content)


def read(name: str, folder: Path, content: bytes) -> None:
    source = SOURCES[name]
    if source.file:
        (folder / source.file).write_bytes(content)
    begun = time.process_time()
    try:
        source.read(folder, content)
    except (NightdeskError, discord_message.DiscordRefusalError, slack_message.SlackRefusalError):
        pass
    except BaseException as error:
        error.add_note(f"{name}, seed {SEED}: {content[:2000]!r}")
        raise
    assert time.process_time() - begun < 1, f"{name}, seed {SEED}: {content[:2000]!r}"


@pytest.mark.fuzz
def test_whatever_is_read_is_answered_or_refused_within_a_second(tmp_path: Path) -> None:
    drawn = random.Random(SEED)
    for number in range(cases(sample=1_500, campaign=200_000)):
        if number % 1_000 == 0:
            folder = tmp_path / str(number)
            folder.mkdir()
        read(drawn.choice(list(SOURCES)), folder, drawn_content(drawn))


@pytest.mark.parametrize("kind", ODD_FILES)
@pytest.mark.parametrize("name", IN_FILES)
def test_known_failure_23_whatever_lies_there_for_a_file_holds_nobody_up(name: str, kind: str, tmp_path: Path) -> None:
    source = SOURCES[name]
    ODD_FILES[kind](tmp_path / source.file)
    with at_most(10), suppress(NightdeskError):
        source.read(tmp_path, b"")


@pytest.mark.parametrize("kind", BAD_CONTENT)
def test_whatever_is_damaged_is_written_anew_where_the_bot_writes_it(kind: str, tmp_path: Path) -> None:
    BAD_CONTENT[kind](tmp_path / "status.json")
    file = StatusFile(tmp_path / "status.json")
    file.replace({"bot": {"x": 1}}, now=NOW, lifetime_seconds=1)
    assert json.loads((tmp_path / "status.json").read_text())["bot"]["x"] == 1
