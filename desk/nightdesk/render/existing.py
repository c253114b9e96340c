"""All that servers need which a person has already: rules, jobs, receivers, dashboards, resources of Kubernetes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightdesk.channels import Channels
from nightdesk.render.dashboards import dashboards_to_import
from nightdesk.render.files import Files
from nightdesk.render.receivers import receivers_to_merge
from nightdesk.render.rules import Inventory, rule_files
from nightdesk.render.scraping import kubernetes_files, scrape_file

BOTS_JOB = "tradebot"
"""Our name for the job that scrapes the bots."""


@dataclass(frozen=True)
class Existing:
    """What a person has: bots and where they answer, how they are asked, channels, and own names for our jobs."""

    inventory: Inventory
    targets: Mapping[str, str]
    """The addresses, by name, of the bots that are not scraped yet."""
    channels: Channels
    access: Mapping[str, Any] = field(default_factory=dict)
    jobs: Mapping[str, str] = field(default_factory=dict)
    without: Collection[str] = ()


def files_for_existing(existing: Existing, assets: Path, *, out: Path) -> Files:
    """Return the files by their paths in `out`: rules lie in itself, all else in folders.

    Raises what `rule_files` raises, and `SettingsError` where a channel cannot be used.
    """
    job = existing.jobs.get(BOTS_JOB, BOTS_JOB)
    rules = rule_files(assets, existing.inventory, jobs=existing.jobs, without=existing.without)
    return {
        **rules,
        **(scrape_file(existing.targets, job=job, access=existing.access) if existing.targets else {}),
        **receivers_to_merge(existing.channels, assets, rules=rules, out=out),
        **dashboards_to_import(assets, jobs=existing.jobs),
        **kubernetes_files(rules, job=job),
    }
