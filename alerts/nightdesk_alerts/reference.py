"""The page about every alert, made from the catalogue: `docs/alerts-reference.md`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nightdesk_alerts.catalogue import SUBJECTS
from nightdesk_alerts.catalogue.declaration import AlertDeclaration, Mute, MutedIn, SilentCondition, Subject
from nightdesk_alerts.mutes import mutes_of

_HEAD = """# Alerts

Written by `make docs` from the catalogue in `alerts/nightdesk_alerts/catalogue`; do not edit.

Every alert that there is, by subject: what it says at each severity, when it fires, its labels beside `alertname` and
`severity`, what mutes it for the same bot, how it gets to people, and what to do. Where one is *silenced by* a setting,
that is a key below `operations.alerts`. Numbers in brackets are defaults: each bot exports its own limits. *Health
check* names the issue under which the bot itself finds the condition, in its status file and in
`tradebot_health_issues`; where no Alertmanager is configured, the bot itself tells of these. An alert that is critical
mutes its own warning. [alerts.md](alerts.md) says how alerts get out.
"""
_WHERE = {MutedIn.INHIBITION: "", MutedIn.RULE: " (in its rule, until it has been told)"}


def reference(subjects: Sequence[Subject] = SUBJECTS) -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *(line for subject in subjects for line in _subject(subject))])


def _subject(subject: Subject) -> Iterator[str]:
    yield f"## {subject.title}\n"
    for each in subject.declared:
        if isinstance(each, AlertDeclaration):
            yield from _alert(each)
    silent = [each for each in subject.declared if isinstance(each, SilentCondition)]
    if silent:
        yield "The health check finds besides, and wakes nobody:\n"
        yield from (f"- `{each.issue}`: {each.reason}." for each in silent)
        yield ""


def _alert(alert: AlertDeclaration) -> Iterator[str]:
    yield f"### {alert.name}\n"
    yield from (f"- **{rule.severity}**: {rule.summary}" for rule in alert.rules)
    yield f"\n{alert.when}\n"
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {title} | {text} |" for title, text in _facts(alert))
    yield ""


def _facts(alert: AlertDeclaration) -> Iterator[tuple[str, str]]:
    yield "labels", ", ".join(f"`{label}`" for label in alert.labels) or "none"
    yield "muted by", ", ".join(_cause(mute) for mute in mutes_of(alert)) or "nothing"
    if alert.mutes_its_bot is not None:
        yield "mutes", "everything else of the same bot, but for what nothing mutes"
    yield "route", "; ".join(dict.fromkeys(alert.route_of(rule.severity).value for rule in alert.rules))
    if alert.preference is not None:
        yield "silenced by", f"`{alert.preference.value}: false`"
    if alert.condition is not None:
        yield "health check", f"`{alert.condition.issue}`"
    yield "runbook", f"[{alert.name}](../{alert.runbook})"


def _cause(mute: Mute) -> str:
    name = mute.cause if isinstance(mute.cause, str) else mute.cause.name
    return f"{name}{_WHERE[mute.where]}"
