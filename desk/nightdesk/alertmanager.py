"""Questions to the stack's Alertmanager, with the password that no browser holds."""

from __future__ import annotations

from nightdesk.answers import Answer, AnswerError, ask
from nightdesk.passwords import login
from nightdesk.settings import Settings

_TIMEOUT_SECONDS = 5.0


def ask_alertmanager(settings: Settings, path: str) -> Answer:
    """Return what lies at a path. Raises `AnswerError` where nothing answers, or the password is another."""
    url = f"http://{settings.address('alertmanager')}{path}"
    answer = ask(url, login=login(settings, "alertmanager"), timeout_seconds=_TIMEOUT_SECONDS)
    if answer.status == 401:
        raise AnswerError(url, "answers 401: Alertmanager was started with another password; start the stack anew")
    return answer
