"""What is declared of alerts, held against the files that a person writes for each: a line for each thing amiss."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from nightdesk_alerts.catalogue.declaration import AlertDeclaration, AlertRule, SilentCondition, Subject
from nightdesk_alerts.mutes import with_mutes
from nightdesk_alerts.reference import reference

Kind = tuple[str, str]
"""An alert's name and severity."""


class Checkout:
    """The files below a checkout's root that are about alerts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def rules(self) -> dict[Kind, dict[str, Any]]:
        """Every alerting rule."""
        files = sorted((self.root / "prometheus/rules").glob("*.yml"))
        groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
        rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
        return {(rule["alert"], rule["labels"]["severity"]): rule for rule in rules}

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """Every test of rules."""
        files = sorted((self.root / "prometheus/tests").glob("*_test.yml"))
        return [test for file in files for test in yaml.safe_load(file.read_text())["tests"]]

    @cached_property
    def fired_labels(self) -> dict[Kind, set[str]]:
        """The labels with which each alert is expected to fire in any test, beside its severity."""
        found: dict[Kind, set[str]] = defaultdict(set)
        for test in self.tests:
            for case in test.get("alert_rule_test", []):
                for alert in case.get("exp_alerts", []):
                    labels = alert["exp_labels"]
                    found[case["alertname"], labels["severity"]] |= labels.keys() - {"severity"}
        return found

    @cached_property
    def silent(self) -> str:
        """What is expected not to fire in any test: names and expressions."""
        cases = [case for test in self.tests for case in test.get("alert_rule_test", []) if not case.get("exp_alerts")]
        asked = [case for test in self.tests for case in test.get("promql_expr_test", []) if not case["exp_samples"]]
        return "\n".join([*(case["alertname"] for case in cases), *(case["expr"] for case in asked)])

    @cached_property
    def runbooks(self) -> set[str]:
        """The names of all runbooks."""
        return {file.stem for file in (self.root / "prometheus/runbooks").glob("*.md")}


def problems(subjects: Sequence[Subject], root: Path, *, cases: Collection[str]) -> list[str]:
    """Return what is missing or differs, file by file; `cases` are the names of the health check's cases."""
    checkout = Checkout(root)
    found = [line for subject in subjects for line in _of_subject(subject, checkout, cases)]
    names = {each.name for subject in subjects for each in subject.declared if isinstance(each, AlertDeclaration)}
    kinds = {(rule.name, rule.severity) for rule in _rules(subjects)}
    undeclared = sorted(checkout.rules.keys() - kinds)
    found += [f"prometheus/rules: {name} ({severity}) is declared nowhere" for name, severity in undeclared]
    orphans = sorted(checkout.runbooks - names)
    found += [f"prometheus/runbooks/{name}.md is of an alert that is not declared" for name in orphans]
    path = root / "docs/alerts-reference.md"
    if not path.exists() or path.read_text(encoding="utf-8") != reference(subjects):
        found.append("docs/alerts-reference.md is out of date: run `make docs`")
    return found


def _rules(subjects: Sequence[Subject]) -> Iterator[AlertRule]:
    for subject in subjects:
        for each in subject.declared:
            if isinstance(each, AlertDeclaration):
                yield from each.rules


def _of_subject(subject: Subject, checkout: Checkout, cases: Collection[str]) -> Iterator[str]:
    for each in subject.declared:
        if isinstance(each, AlertDeclaration):
            for rule in each.rules:
                yield from _of_rule(rule, subject, checkout)
            yield from _of_alert(each, subject, checkout)
        for name in _case_names(each):
            if name not in cases:
                yield f"tests/exporter/health_cases/{subject.rules}.py has no case for {name}"


def _of_rule(rule: AlertRule, subject: Subject, checkout: Checkout) -> Iterator[str]:
    file, named = f"prometheus/rules/{subject.rules}.yml", f"{rule.name} of severity {rule.severity}"
    written = checkout.rules.get((rule.name, rule.severity))
    if written is None:
        yield f"{file} has no rule {named}"
    else:
        if written["annotations"]["summary"] != rule.summary:
            yield f"{file}: the summary of {named} is not {rule.summary!r}"
        if written["annotations"]["runbook_url"] != rule.declaration.runbook:
            yield f"{file}: the runbook of {named} is not {rule.declaration.runbook}"
        if not _is_muted_as_declared(rule.declaration, written["expr"]):
            yield f"{file}: {named} is not muted by what its declaration says is muted in the rule"
    labels, tests = checkout.fired_labels.get((rule.name, rule.severity)), f"prometheus/tests/{subject.rules}_test.yml"
    if labels is None:
        yield f"{tests} has no test in which {named} fires"
    elif labels != set(rule.declaration.labels):
        yield f"{tests}: {named} fires with the labels {sorted(labels)}, declared are {sorted(rule.declaration.labels)}"


def _of_alert(alert: AlertDeclaration, subject: Subject, checkout: Checkout) -> Iterator[str]:
    # The watchdog is never silent; that is its point.
    if "none" not in alert.summaries and not re.search(rf"\b{alert.name}\b", checkout.silent):
        yield f"prometheus/tests/{subject.rules}_test.yml has no test in which {alert.name} stays silent"
    if alert.name not in checkout.runbooks:
        yield f"{alert.runbook} is missing"


def _case_names(declared: AlertDeclaration | SilentCondition) -> list[str]:
    if isinstance(declared, SilentCondition):
        return [declared.issue]
    if declared.condition is None:
        return []
    return [f"{declared.condition.issue}-{severity}" for severity in declared.summaries]


def _is_muted_as_declared(alert: AlertDeclaration, expression: str) -> bool:
    """Return whether an expression is some other one with the declaration's mutes, brackets and all."""
    told, wanted = " ".join(expression.split()), " ".join(with_mutes(alert, "?").split())
    before, _, after = wanted.partition("?")
    if not (told.startswith(before) and told.endswith(after)):
        return False
    depth = 0
    for letter in told[len(before) : len(told) - len(after)]:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0
