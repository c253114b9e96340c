"""Looks whether Alertmanager still writes to the chat that people read, and has it follow one that has moved.

A Telegram group that becomes a supergroup has another number from then on. Alertmanager's messages to the old one are
refused, and it does not read where the group is. So it is asked whether Telegram refuses, then Telegram for the reason,
by a call that nobody reads. Alertmanager keeps what was refused, and sends it once it has read its configuration anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger
from nightdesk_alerts import AlertSender, Channel, ChatChannel, Moved, ask_chat
from nightdesk_alerts.catalogue import ALERTMANAGER_NOTIFICATIONS_FAILING
from nightdesk_alerts.moved_chats import MovedChats
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.yaml_text import parse_yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from nightdesk.alertmanager import ask_alertmanager
from nightdesk.answers import AnswerError
from nightdesk.settings import Settings

_FAILED = "alertmanager_notification_requests_failed_total"
"""It counts each attempt. `alertmanager_notifications_failed_total` rises only when Alertmanager gives up, minutes
later."""
_TIMEOUT_SECONDS = 5.0
_RULE = ALERTMANAGER_NOTIFICATIONS_FAILING.rules[0]


@dataclass(frozen=True)
class Telegram:
    """What Alertmanager does with Telegram: the chats that it writes to now, and how many attempts have failed."""

    chats: frozenset[str]
    failed: float


class ChatWatch:
    """Whether Alertmanager writes where the chats are today."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        look: Callable[[], Telegram],
        moved: MovedChats,
        renew: Callable[[], None],
    ) -> None:
        """`look` asks Alertmanager; `renew` has it read a configuration with the chats where `moved` knows them to be.

        Both raise `NightdeskError`; that of `renew` says what a person has to do.
        """
        self._channels = [channel for channel in channels if isinstance(channel, ChatChannel)]
        self._look = look
        self._moved = moved
        self._renew = renew
        self._failed = 0.0
        self._told: dict[str, str] = {}
        self._lasts = False
        """Whether people were told that Alertmanager does not follow, which lasts until it does."""

    def look_once(self, sender: AlertSender) -> None:
        """Look once; where a chat has moved, have Alertmanager follow, and tell people the number to set."""
        if not self._channels:
            return
        try:
            telegram = self._look()
        except NightdeskError as error:
            logger.debug("whether Alertmanager reaches Telegram is not known: {}", error)
            return
        if telegram.failed > self._failed:
            self._ask(telegram.chats)
        self._failed = telegram.failed  # less than before, where Alertmanager was started anew
        moves = {chat: now for chat in telegram.chats if (now := self._moved.now_at(chat)) != chat}
        if moves:
            self._follow(moves, sender)
        elif self._lasts:
            sender.withdraw(_RULE.name)
            self._lasts = False

    def _ask(self, chats: frozenset[str]) -> None:
        for channel in self._channels:
            for chat in chats:
                answer = ask_chat(channel.at(self._moved.now_at(chat)), timeout_seconds=_TIMEOUT_SECONDS)
                if isinstance(answer, Moved):
                    self._moved.remember(self._moved.now_at(chat), answer.place)

    def _follow(self, moves: dict[str, str], sender: AlertSender) -> None:
        """Have Alertmanager follow. Once it does that is news, which ends by itself; else it lasts until it does."""
        try:
            self._renew()
            done, lasts = "Alertmanager writes there from now on, and sends what was refused.", False
        except NightdeskError as error:
            done, lasts = f"What Alertmanager sends does not arrive until then: {error}.", True
        if self._told == moves:
            return
        self._told = moves
        self._lasts = self._lasts or lasts
        said = [
            f"The Telegram chat {old} has become {new}: set operations.alerts.telegram_chat_id to {new}."
            for old, new in moves.items()
        ]
        text = " ".join([*said, done])
        logger.error("alerts: {}", text)
        sender.send_alert(
            _RULE.name, severity=_RULE.severity, summary=_RULE.summary, description=text, lasting=self._lasts
        )


class _Config(BaseModel):
    original: str


class _Status(BaseModel):
    config: _Config


def look_at_telegram(settings: Settings) -> Telegram:
    """Return what Alertmanager does with Telegram. Raises `AnswerError` or `InputError` where it does not say."""
    status = ask_alertmanager(settings, "/api/v2/status").read(_Status)
    running = parse_yaml(status.config.original, source="Alertmanager's configuration")
    metrics = ask_alertmanager(settings, "/metrics")
    try:
        families = list(text_string_to_metric_families(metrics.body.decode()))
    except ValueError as error:
        raise AnswerError(metrics.url, "answers what are no metrics") from error
    samples = [sample for family in families for sample in family.samples if sample.name == _FAILED]
    failed = sum(sample.value for sample in samples if sample.labels.get("integration") == "telegram")
    return Telegram(frozenset(_chats(running)), failed)


def _chats(part: Any) -> Iterator[str]:
    """Yield every `chat_id`, wherever in a configuration."""
    if isinstance(part, list):
        for item in part:
            yield from _chats(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "chat_id":
                yield str(value)
            else:
                yield from _chats(value)
