"""The files of candles that the sandbox is to replay: whether they can be read, and how they were."""

from __future__ import annotations

from nightdesk.settings import Settings


def check_candles(settings: Settings) -> str:
    """Return what files of your own hold, and what is odd in it. Raises `CandlesError`; nothing is fetched."""
    if not settings.sandbox.enabled:
        return "the exchange's"
    if not settings.sandbox.candles:
        return "the samples"
    from nightdesk_sandbox import read_own_candles

    found = read_own_candles(settings.sandbox, home=settings.home)
    return " | ".join(f"{symbol}: {read}" for symbol, read in found.items())
