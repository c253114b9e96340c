"""A drill: a marked message down each channel, and the way that the rules' alerts take, through Alertmanager.

What Alertmanager makes of an alert it says nowhere but in its own counts: each attempt is counted by the kind of
channel, and whether it failed. Another alert's message by the same kind, at the same moment, counts alike.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from nightdesk_alerts import Alerting, Channel, Drill, DrillResult
from nightdesk_core.errors import NightdeskError
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, RootModel

from nightdesk.alertmanager import ask_alertmanager
from nightdesk.answers import AnswerError
from nightdesk.channels import channels, moved_chats
from nightdesk.settings import Settings

_TIMEOUT_SECONDS = 10.0
_CONNECT_SECONDS = 1.0
_WAIT_SECONDS = 30.0
"""Alertmanager waits 5 s before it tells of a critical alert, and tries again after a failure."""
_POLL_SECONDS = 0.25
_TRIED = "alertmanager_notification_requests_total"
_FAILED = "alertmanager_notification_requests_failed_total"


class DrillError(NightdeskError):
    """There is nothing to be tried; the message says what to set."""


@dataclass(frozen=True)
class _Attempts:
    """How often Alertmanager has sent something, and failed to, by its word for the kind of channel."""

    tried: Counter[str]
    failed: Counter[str]


def drill(settings: Settings, *, wait_seconds: float = _WAIT_SECONDS) -> Iterator[DrillResult]:
    """Yield what came of a marked message to each channel, and to each through Alertmanager where that runs.

    Raises `DrillError` where no channel is configured, or all are switched off, and `SettingsError` for half of one.
    """
    alerting = channels(settings).alerting
    if not alerting.enabled:
        raise DrillError("nobody is told anything: operations.alerts.enabled is false")
    if not alerting.channels:
        raise DrillError("there is no channel to try: set one of operations.alerts, see docs/alerts.md")
    attempt = Drill(settings.bot.name, moved=moved_chats(settings), timeout_seconds=_TIMEOUT_SECONDS)
    yield from attempt.send(replace(alerting, alertmanagers=()))
    if alertmanager_runs(settings):
        yield from _through_alertmanager(settings, alerting, attempt, wait_seconds)


def alertmanager_runs(settings: Settings) -> bool:
    """Return whether anything listens where Alertmanager should."""
    host, _, port = settings.address("alertmanager").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _through_alertmanager(
    settings: Settings, alerting: Alerting, attempt: Drill, wait_seconds: float
) -> Iterator[DrillResult]:
    began = time.monotonic()
    try:
        before = _attempts(settings)
        (posted,) = attempt.send(replace(alerting, channels=()))
        if posted.problem:
            yield replace(posted, place="Alertmanager")
            return
        yield from _awaited(settings, alerting.channels, before, attempt, deadline=began + wait_seconds)
    except AnswerError as error:
        yield DrillResult("Alertmanager", time.monotonic() - began, error.reason)


def _awaited(
    settings: Settings, told: tuple[Channel, ...], before: _Attempts, attempt: Drill, *, deadline: float
) -> Iterator[DrillResult]:
    """Yield each channel once Alertmanager has told it, and at the deadline those that it has not."""
    began = time.monotonic()
    wanted = list(told)
    many = Counter(map(_kind, told))
    while True:
        muted = _is_suppressed(settings, attempt)
        now = _attempts(settings)
        tried, failed = now.tried - before.tried, now.failed - before.failed
        arrived = [] if muted else [channel for channel in wanted if _arrived(channel, tried, failed, many)]
        for channel in arrived:
            wanted.remove(channel)
            yield DrillResult(_place(channel), time.monotonic() - began)
        if muted or not wanted or time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    for channel in wanted:
        why = "muted by a silence: nightdesk silences" if muted else _why_not(tried, failed, _kind(channel))
        yield DrillResult(_place(channel), time.monotonic() - began, why)


def _arrived(channel: Channel, tried: Counter[str], failed: Counter[str], many: Counter[str]) -> bool:
    kind = _kind(channel)
    return tried[kind] - failed[kind] >= many[kind]


def _why_not(tried: Counter[str], failed: Counter[str], kind: str) -> str:
    if failed[kind]:
        return f"{failed[kind]} of {tried[kind]} attempts failed; Alertmanager's log says why"
    return "Alertmanager did not try: does it run with the configuration of these settings? Render, and reload it"


def _kind(channel: Channel) -> str:
    return channel.receiver_kind.removesuffix("_configs")


def _place(channel: Channel) -> str:
    return f"{channel.name} through Alertmanager"


def _attempts(settings: Settings) -> _Attempts:
    answer = ask_alertmanager(settings, "/metrics")
    if not answer.ok:
        raise AnswerError(answer.url, f"answers {answer.status}")
    found = {_TRIED: Counter[str](), _FAILED: Counter[str]()}
    try:
        for family in text_string_to_metric_families(answer.body.decode(errors="replace")):
            for sample in family.samples:
                if sample.name in found and "integration" in sample.labels:
                    found[sample.name][sample.labels["integration"]] += int(sample.value)
    except (ValueError, KeyError, OverflowError):  # whatever listens there, it is no Alertmanager
        raise AnswerError(answer.url, "answers what was not expected") from None
    return _Attempts(found[_TRIED], found[_FAILED])


class _Status(BaseModel):
    state: str


class _Alert(BaseModel):
    status: _Status


class _Alerts(RootModel[list[_Alert]]):
    pass


def _is_suppressed(settings: Settings, attempt: Drill) -> bool:
    filters = [("filter", f'{name}="{attempt.alert.labels[name]}"') for name in ("alertname", "bot")]
    found = ask_alertmanager(settings, f"/api/v2/alerts?{urlencode(filters)}").read(_Alerts).root
    return any(alert.status.state == "suppressed" for alert in found)
