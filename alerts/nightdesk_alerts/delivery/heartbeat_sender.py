"""The thread that sends the heartbeat: on its interval, and at once where the bot's state changes to down or back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loguru import logger

from nightdesk_alerts.delivery.outcome import Delivered
from nightdesk_alerts.delivery.web import Web, WebError
from nightdesk_alerts.delivery.web_response import judge
from nightdesk_alerts.heartbeat import Beat, Heartbeat

Look = Callable[[], tuple[Beat | None, str]]
"""Returns how the bot is now, and what to say of it; `None` while that is not known, and then nothing is sent."""

_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 10.0
"""How soon a beat that did not arrive is sent again, at most."""
_TIMEOUT_SECONDS = 10.0
_CLOSE_SECONDS = 3.0


class HeartbeatSender:
    """Sends while `look` says how the bot is: where that hangs or raises, the heartbeat stays away, as it must.

    One request is under way at a time, each with an end. `sent` is told of each beat that arrived, `failed` of each
    that did not, with a reason without secrets.
    """

    def __init__(
        self, heartbeat: Heartbeat, look: Look, *, sent: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        self._heartbeat = heartbeat
        self._look = look
        self._sent = sent
        self._failed = failed
        self._web = Web(timeout_seconds=_TIMEOUT_SECONDS)
        self._stopped = threading.Event()
        self._last_words: str | None = None
        self._took: float | None = None
        self._failing = False
        # By this name of the thread the addresses are kept out of the log.
        self._thread = threading.Thread(target=self._run, name="nightdesk-alerts-heartbeat", daemon=True)

    def start(self) -> None:
        """Tell of the start, and go on."""
        self._thread.start()

    def stop(self, last_words: str | None = None) -> None:
        """End; with last words the service is told that the bot is down. Waits for three seconds at most."""
        self._last_words = last_words
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        self._send(Beat.START, "started")
        told, due = None, time.monotonic()
        while not self._stopped.is_set():
            beat, text = self._look()
            changed = beat is not None and told is not None and beat is not told
            if beat is not None and (changed or time.monotonic() >= due):
                arrived = self._send(beat, text)
                interval = self._heartbeat.interval_seconds
                due = time.monotonic() + (interval if arrived else min(interval, _AGAIN_SECONDS))
                told = beat  # one that did not arrive is due again soon
            self._stopped.wait(_LOOK_SECONDS)
        if self._last_words is not None:
            self._send(Beat.DOWN, self._last_words)

    def _send(self, beat: Beat, text: str) -> bool:
        """Send a beat, and return whether it arrived."""
        request = self._heartbeat.request(beat, text, took_seconds=self._took)
        if request is None:
            return True
        begun = time.monotonic()
        try:
            answer = self._web.signal(request.url, parameters=request.parameters, body=request.body)
            outcome = judge(answer, wall=time.time())
        except WebError as error:
            outcome = error.outcome
        if isinstance(outcome, Delivered):
            self._took = time.monotonic() - begun
            self._sent()
            if self._failing:
                logger.info("the heartbeat arrives again")
            self._failing = False
            return True
        problem = getattr(outcome, "problem", "no answer")
        self._failed(problem)
        if not self._failing:
            logger.warning(
                "the heartbeat did not arrive ({}): the service outside will take the bot for dead; see whether"
                " heartbeat_url is right",
                problem,
            )
        self._failing = True
        return False
