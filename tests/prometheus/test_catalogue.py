"""Every alert is declared once, and has its rules, tests, runbook, reference and cases: what is missing is named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from textwrap import indent

import pytest
from nightdesk.stack.tools import Tools
from nightdesk_alerts.catalogue import ALERTS, SUBJECTS
from nightdesk_alerts.catalogue.declaration import (
    AlertCondition,
    AlertDeclaration,
    Subject,
    Symptom,
    muted_in_rule_by,
)
from nightdesk_alerts.catalogue.exchange import EXCHANGE_DISCONNECTED
from nightdesk_alerts.mutes import with_mutes
from nightdesk_alerts.reference import reference
from nightdesk_exporter.metrics.catalogue import METRICS, Kind

from tests.exporter.health_cases import CASES
from tests.prometheus.catalogue_check import problems

CHECKOUT = Path(__file__).resolve().parents[2]
CASE_NAMES = {case.name for case in CASES}

MADE_UP = AlertDeclaration(
    name="TradebotMadeUp",
    summaries={"warning": "Something new is wrong."},
    when="Something was made up.",
    condition=AlertCondition(
        issue="made_up",
        find=lambda seen: [Symptom("warning", "it is made up")] if seen.bot.clock_offset == 42 else [],
        is_known=lambda seen: seen.bot.clock_offset is not None,
    ),
    muted_by=muted_in_rule_by(EXCHANGE_DISCONNECTED),
)
RULE = """
      - alert: TradebotMadeUp
        expr: |2
{expression}
        labels:
          severity: warning
        annotations:
          summary: Something new is wrong.
          description: Bot {{{{ $labels.bot }}}} has a clock that was made up.
          runbook_url: prometheus/runbooks/TradebotMadeUp.md
"""
EXPRESSION = """\
max by (bot) (last_over_time(tradebot_exchange_clock_offset_seconds{job="tradebot"}[10m]))
==
42"""
RULE_TEST = """
  - name: something made up is found where it is, and not beside it
    interval: 1m
    input_series:
      - {series: 'tradebot_exchange_clock_offset_seconds{job="tradebot",bot="btc",instance="a"}', values: '42x20'}
      - {series: 'tradebot_exchange_clock_offset_seconds{job="tradebot",bot="eth",instance="c"}', values: '41x20'}
    alert_rule_test:
      - eval_time: 10m
        alertname: TradebotMadeUp
        exp_alerts:
          - exp_labels: {severity: warning, bot: btc}
            exp_annotations:
              summary: Something new is wrong.
              description: Bot btc has a clock that was made up.
              runbook_url: prometheus/runbooks/TradebotMadeUp.md
    promql_expr_test:
      - {expr: 'ALERTS{alertname="TradebotMadeUp",bot="eth"}', eval_time: 10m, exp_samples: []}
"""


def with_declared(alert: AlertDeclaration) -> tuple[Subject, ...]:
    """Return the catalogue with one more declaration among the plumbing."""
    return tuple(
        subject._replace(declared=(*subject.declared, alert)) if subject.rules == "plumbing" else subject
        for subject in SUBJECTS
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is written of alerts."""
    for name in ("prometheus", "docs"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    return tmp_path


def write_all(checkout: Path, expression: str) -> None:
    """Write what a person would write for the made-up alert."""
    rules, tests = (checkout / f"prometheus/{name}" for name in ("rules/plumbing.yml", "tests/plumbing_test.yml"))
    rules.write_text(rules.read_text() + RULE.format(expression=indent(expression, " " * 12)))
    tests.write_text(tests.read_text() + RULE_TEST)
    (checkout / MADE_UP.runbook).write_text("# TradebotMadeUp\n")
    (checkout / "docs/alerts-reference.md").write_text(reference(with_declared(MADE_UP)), encoding="utf-8")


def test_what_is_declared_is_there_and_what_is_there_is_declared() -> None:
    assert problems(SUBJECTS, CHECKOUT, cases=CASE_NAMES) == []


def test_a_new_alert_of_the_health_check_is_six_files_and_each_that_is_missing_is_named() -> None:
    found = problems(with_declared(MADE_UP), CHECKOUT, cases=CASE_NAMES)
    assert found == [
        "prometheus/rules/plumbing.yml has no rule TradebotMadeUp of severity warning",
        "prometheus/tests/plumbing_test.yml has no test in which TradebotMadeUp of severity warning fires",
        "prometheus/tests/plumbing_test.yml has no test in which TradebotMadeUp stays silent",
        "prometheus/runbooks/TradebotMadeUp.md is missing",
        "tests/exporter/health_cases/plumbing.py has no case for made_up-warning",
        "docs/alerts-reference.md is out of date: run `make docs`",
    ]
    declaration = "alerts/nightdesk_alerts/catalogue/plumbing.py"
    files = {declaration, *(problem.split()[0] for problem in found)}
    assert len(files) == 6
    assert all((CHECKOUT / file).exists() for file in files - {MADE_UP.runbook})


def test_once_the_six_are_written_nothing_is_missing_and_the_rule_test_passes(checkout: Path, tools: Tools) -> None:
    write_all(checkout, with_mutes(MADE_UP, EXPRESSION))
    assert problems(with_declared(MADE_UP), checkout, cases={*CASE_NAMES, "made_up-warning"}) == []
    test = checkout / "prometheus/tests/plumbing_test.yml"
    done = subprocess.run([tools.promtool, "test", "rules", test], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "expression",
    [
        EXPRESSION,
        # The mute binds to the second half alone.
        f"absent(up)\nor\n{with_mutes(MADE_UP, EXPRESSION)}",
        with_mutes(MADE_UP, EXPRESSION).replace("TradebotExchangeDisconnected", "TradebotDown"),
    ],
    ids=["no mute", "half a mute", "another cause"],
)
def test_a_rule_that_is_not_muted_as_its_declaration_says_is_named(checkout: Path, expression: str) -> None:
    write_all(checkout, expression)
    assert problems(with_declared(MADE_UP), checkout, cases={*CASE_NAMES, "made_up-warning"}) == [
        "prometheus/rules/plumbing.yml: TradebotMadeUp of severity warning is not muted by what its declaration says is"
        " muted in the rule"
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        (
            "prometheus/rules/plumbing.yml",
            "summary: The status file is out of date.",
            "summary: Another.",
            [
                "prometheus/rules/plumbing.yml: the summary of TradebotStatusFileStale of severity warning is not"
                " 'The status file is out of date.'"
            ],
        ),
        (
            "prometheus/rules/plumbing.yml",
            "runbook_url: prometheus/runbooks/TradebotStatusFileStale.md",
            "runbook_url: prometheus/runbooks/TradebotSnapshotStale.md",
            [
                "prometheus/rules/plumbing.yml: the runbook of TradebotStatusFileStale of severity warning is not"
                " prometheus/runbooks/TradebotStatusFileStale.md"
            ],
        ),
        (
            "prometheus/rules/trading.yml",
            "alert: TradebotLeverageHigh",
            "alert: TradebotLeverage",
            [
                "prometheus/rules/trading.yml has no rule TradebotLeverageHigh of severity critical",
                "prometheus/rules: TradebotLeverage (critical) is declared nowhere",
            ],
        ),
        (
            "prometheus/tests/retrain_never_test.yml",
            "severity: warning, bot: btc",
            "severity: warning, bot: btc, symbol: X",
            [
                "prometheus/tests/retrain_test.yml: TradebotRetrainNeverSucceeded of severity warning fires with the"
                " labels ['bot', 'symbol'], declared are ['bot']"
            ],
        ),
    ],
    ids=["summary", "runbook link", "name", "labels"],
)
def test_what_differs_from_its_declaration_is_named(
    checkout: Path, file: str, old: str, new: str, named: list[str]
) -> None:
    path = checkout / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert problems(SUBJECTS, checkout, cases=CASE_NAMES) == named


def test_a_runbook_of_no_alert_and_a_runbook_that_was_deleted_are_named(checkout: Path) -> None:
    (checkout / "prometheus/runbooks/TradebotDown.md").rename(checkout / "prometheus/runbooks/TradebotUp.md")
    assert problems(SUBJECTS, checkout, cases=CASE_NAMES) == [
        "prometheus/runbooks/TradebotDown.md is missing",
        "prometheus/runbooks/TradebotUp.md is of an alert that is not declared",
    ]


def test_a_counter_of_the_catalogue_is_one_that_the_bot_exports() -> None:
    for alert in ALERTS:
        if alert.counter:
            name, *values = alert.counter
            assert METRICS[name].kind is Kind.COUNTER
            assert len(values) == len(METRICS[name].labels)


def test_the_file_in_docs_is_what_the_catalogue_says() -> None:
    assert (CHECKOUT / "docs/alerts-reference.md").read_text(encoding="utf-8") == reference(), "run `make docs`"
