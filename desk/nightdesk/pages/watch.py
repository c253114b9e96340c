"""Looks at what Alertmanager mutes, exports it, and tells people where Alertmanager will not.

A silence of everything silences the alert about itself, too. So that one goes straight to the channels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from loguru import logger
from nightdesk_alerts import Alerting, AlertSender
from nightdesk_alerts.catalogue import ALERTS_SILENCED
from nightdesk_core.clock import WallClock
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter.metrics.families import family
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nightdesk.silences import Muted

LOOK_SECONDS = 15.0
"""As often as Prometheus scrapes."""

_RULE = ALERTS_SILENCED.rules[0]


class SilenceWatch(Collector):
    """What is muted, as of the last look. Where Alertmanager does not say, nothing is exported: nothing is known."""

    def __init__(self, bot: str, *, look: Callable[[], Muted], clock: WallClock) -> None:
        """`look` asks Alertmanager, and raises where it does not say."""
        self._bot = bot
        self._look = look
        self._clock = clock
        self._told = False
        self._again = asyncio.Event()
        self.muted: Muted | None = None

    async def run(self, alerting: Alerting, *, also: Callable[[AlertSender], None]) -> None:
        """Look until cancelled, and have `also` look; `alerting` has the channels to tell by."""
        with AlertSender(self._bot, alerting=replace(alerting, alertmanagers=())) as sender:
            while True:
                await _tried(self.look_once, sender)
                await _tried(also, sender)
                self._again.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._again.wait(), LOOK_SECONDS)

    def look_again(self) -> None:
        """Have the next look come at once: somebody has ended a silence."""
        self._again.set()

    def look_once(self, sender: AlertSender) -> None:
        """Look once, and tell people, or no longer."""
        try:
            self.muted = self._look()
        except Exception as error:  # noqa: BLE001 - the top of a job: what is not known must not look as it did
            if self.muted is not None:
                logger.warning("what is silenced is not known ({}): {}", type(error).__name__, error)
            self.muted = None
            return
        unheard = self._is_too_much(self.muted) and self.muted.is_silenced(
            {"alertname": _RULE.name, "severity": _RULE.severity, "bot": self._bot}
        )
        if unheard and not self._told:
            lines = "; ".join(self.muted.sentences())
            sender.send_alert(_RULE.name, severity=_RULE.severity, summary=_RULE.summary, description=f"{lines}.")
        elif self._told and not unheard:
            sender.withdraw(_RULE.name)
        self._told = unheard

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the last look."""
        muted = self.muted
        if muted is not None:
            yield family("critical_alerts_silenced_ratio", muted.silenced_ratio(self._bot))
            yield family("critical_alert_silenced_seconds", muted.silenced_seconds(self._bot, now=self._clock()))

    def _is_too_much(self, muted: Muted) -> bool:
        """Return what the rule of Prometheus finds, too."""
        longest = muted.silenced_seconds(self._bot, now=self._clock())
        return longest > DAY_SECONDS or muted.silenced_ratio(self._bot) >= 1


async def _tried(look: Callable[[AlertSender], None], sender: AlertSender) -> None:
    """Have a look taken on a thread; one that fails must not be the last."""
    try:
        await asyncio.to_thread(look, sender)
    except Exception:  # noqa: BLE001 - the top of a job: it is logged, and the next look may go better
        logger.exception("a look at what is silenced, or at where the chats are, failed")
