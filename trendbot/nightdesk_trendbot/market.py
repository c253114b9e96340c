"""Which market a journal belongs to: its position and its equity mean nothing in another."""

from __future__ import annotations

from nightdesk_core.journal import Journal, JournalError

from nightdesk_trendbot.settings import TrendbotSettings

MARKET_KEY = "market"
"""Where the journal's state names its market."""


def market_of(settings: TrendbotSettings) -> dict[str, str | bool]:
    """Return what a journal's position belongs to."""
    exchange = settings.exchange
    return {
        "exchange": exchange.id,
        "testnet": exchange.testnet,
        "elsewhere": bool(exchange.rest_url),
        "symbol": settings.symbol,
        "timeframe": settings.timeframe,
    }


def refuse_another_market(journal: Journal, settings: TrendbotSettings) -> None:
    """Raise `JournalError` where the journal's position and equity are those of another market."""
    stored, wanted = journal.load(MARKET_KEY), market_of(settings)
    if stored is not None and stored != wanted:
        differing = ", ".join(
            f"{key} {stored.get(key)!r}, now {value!r}" for key, value in wanted.items() if stored.get(key) != value
        )
        raise JournalError(
            journal.path, f"is of another market ({differing}); set it aside, or give the bot another bot.state_dir"
        )
