"""The dashboards for a Grafana that a person has already: they ask any data source, which is chosen on their page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightdesk_core.files.json_text import read_json

from nightdesk.render.files import File, Files
from nightdesk.render.rules import with_jobs

_CHOICE = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
    "current": {},
    "options": [],
}


def dashboards_to_import(assets: Path, *, jobs: Mapping[str, str]) -> Files:
    """Return the dashboards of the folder `grafana`, under a person's own names of jobs."""
    found = {}
    for file in sorted((assets / "grafana" / "dashboards").glob("*.json")):
        dashboard = _of_any_source(read_json(file), jobs)
        dashboard["id"] = None
        dashboard["templating"]["list"].insert(0, _CHOICE)
        found[f"grafana/{file.name}"] = File(json.dumps(dashboard, indent=2).encode() + b"\n")
    return found


def _of_any_source(part: Any, jobs: Mapping[str, str]) -> Any:
    match part:
        case {"type": "prometheus", "uid": _}:
            return {**part, "uid": "${datasource}"}
        case dict():
            return {key: _of_any_source(value, jobs) for key, value in part.items()}
        case list():
            return [_of_any_source(item, jobs) for item in part]
        case str():
            return with_jobs(part, jobs)
    return part
