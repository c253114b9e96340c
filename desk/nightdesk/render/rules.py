"""Prometheus' rules: ours at a replay's speed and with a person's own names of jobs, and the inventory beside them.

The inventory is a rule file that records what there should be. `absent()` knows no targets, and a bot that never came
up has no series: only by the inventory is it missed. What is not in it, nobody misses.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightdesk_core.clock import TimeScale
from nightdesk_core.files.reader import read_text
from nightdesk_core.files.yaml_text import parse_yaml

from nightdesk.render.files import File, Files, RenderError, yaml_file
from nightdesk.render.scale import scaled_rules

JOBS = ("tradebot", "tradebot_retrain", "pushgateway", "desk", "prometheus", "alertmanager")
"""The values of the label `job` that the rules look for; `tradebot_retrain` is what the retrain job pushes."""
SERVERS = ("prometheus", "alertmanager", "pushgateway", "desk")
"""The servers that the rules may expect, by their jobs; `desk` is the page server."""
PARTS: Mapping[str, tuple[str, ...]] = {"retrain": ("retrain.yml",), "stack": ("stack.yml",)}
"""The rule files that can be left out, by what they are about."""

_JOB = re.compile(r"""\bjob=(?P<quote>["'])(?P<name>\w+)(?P=quote)""")
_JOB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]*")


@dataclass(frozen=True)
class Inventory:
    """What there should be: bots by name, those of them that are retrained, and servers by their jobs."""

    bots: tuple[str, ...] = ()
    retrained: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    def file(self) -> File:
        """Return it as a file of recording rules."""
        rules = [
            *_recorded("bot:tradebot_expected:info", "bot", self.bots),
            *_recorded("bot:tradebot_retrain_expected:info", "bot", self.retrained),
            *_recorded("server:nightdesk_expected:info", "server", self.servers),
        ]
        return yaml_file({"groups": [{"name": "tradebot.inventory", "rules": rules}]})


def rule_files(
    assets: Path,
    inventory: Inventory,
    *,
    scale: TimeScale | None = None,
    jobs: Mapping[str, str] | None = None,
    without: Collection[str] = (),
) -> Files:
    """Return the rule files by name.

    `jobs` are a person's own names for ours, by ours. `without` are `PARTS` that are left out. Raises `RenderError`
    where a name is none of ours, or one that Prometheus would not take as it is written.
    """
    renamed = dict(jobs or {})
    _refuse_unknown("job", renamed, JOBS)
    _refuse_unknown("server", inventory.servers, SERVERS)
    _refuse_unknown("part", without, PARTS)
    if bad := [name for name in renamed.values() if not _JOB_NAME.fullmatch(name)]:
        raise RenderError(f"{bad[0]!r} cannot stand for a job: letters, digits and . _ : / - can")
    left_out = {name for part in without for name in PARTS[part]}
    files = {
        file.name: File(with_jobs(_scaled(read_text(file), scale), renamed).encode())
        for file in sorted((assets / "prometheus" / "rules").glob("*.yml"))
        if file.name not in left_out
    }
    return {**files, "inventory.yml": inventory.file()}


def groups_of(name: str, file: File) -> list[dict[str, Any]]:
    """Return the groups of a rule file."""
    found: list[dict[str, Any]] = parse_yaml(file.content.decode(), source=name)["groups"]
    return found


def rules_of(name: str, file: File) -> list[dict[str, Any]]:
    """Return all rules of a rule file."""
    return [rule for group in groups_of(name, file) for rule in group["rules"]]


def _recorded(record: str, label: str, values: Iterable[str]) -> list[dict[str, Any]]:
    return [{"record": record, "expr": "vector(1)", "labels": {label: value}} for value in values]


def _refuse_unknown(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise RenderError(f"the rules know no {what} {unknown[0]!r}, but {', '.join(known)}")


def _scaled(text: str, scale: TimeScale | None) -> str:
    return text if scale is None else scaled_rules(text, scale)


def with_jobs(text: str, jobs: Mapping[str, str]) -> str:
    """Return expressions that ask for a person's own names of jobs, by ours."""

    def renamed(found: re.Match[str]) -> str:
        return f"job={found['quote']}{jobs.get(found['name'], found['name'])}{found['quote']}"

    return _JOB.sub(renamed, text) if jobs else text
