"""How a Prometheus that a person has already finds the bots: a file of jobs, or monitors of the Prometheus operator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nightdesk.render.files import Files, yaml_file
from nightdesk.render.rules import groups_of

SCRAPE_FILE = "scrape/nightdesk.yml"
"""For `scrape_config_files` of Prometheus."""
POD_MONITOR_FILE = "kubernetes/podmonitor.yaml"
RULES_FILE = "kubernetes/prometheusrule.yaml"
POD_LABEL = "nightdesk-bot"
"""The label of a pod that says which bot runs in it."""
POD_PORT = "metrics"
"""The name of the exporter's port in a pod."""

_API = "monitoring.coreos.com/v1"
_HEAD = "Written by `nightdesk rules`."


def scrape_file(targets: Mapping[str, str], *, job: str, access: Mapping[str, Any]) -> Files:
    """Return the job that scrapes bots: `targets` are their addresses by name, `access` how the exporters are asked."""
    found = [{"targets": [address], "labels": {"bot": bot}} for bot, address in targets.items()]
    document = {"scrape_configs": [{"job_name": job, **access, "static_configs": found}]}
    return {SCRAPE_FILE: yaml_file(document, head=_HEAD)}


def kubernetes_files(rules: Files, *, job: str) -> Files:
    """Return rules as a PrometheusRule, and the PodMonitor of every pod with the label `POD_LABEL`."""
    groups = [group for name, file in rules.items() for group in groups_of(name, file)]
    return {
        RULES_FILE: yaml_file(_resource("PrometheusRule", {"groups": groups}), head=_HEAD),
        POD_MONITOR_FILE: yaml_file(_resource("PodMonitor", _pods(job)), head=_HEAD),
    }


def _pods(job: str) -> dict[str, Any]:
    bot = {
        "sourceLabels": [f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', POD_LABEL)}"],
        "targetLabel": "bot",
    }
    # The operator's own value is namespace and name of the monitor.
    named = {"targetLabel": "job", "replacement": job}
    return {
        "selector": {"matchExpressions": [{"key": POD_LABEL, "operator": "Exists"}]},
        "podMetricsEndpoints": [{"port": POD_PORT, "path": "/metrics", "relabelings": [bot, named]}],
    }


def _resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": "nightdesk"}, "spec": spec}
