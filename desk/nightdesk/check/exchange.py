"""The exchange: whether it answers, lists what is to be traded, and shows the time that this machine shows."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from nightdesk_core.clock import MarketTime, WallClock, WallTime, iso, system_clock

from nightdesk.check.result import SetupError
from nightdesk.settings import Settings

_TIMEOUT_SECONDS = 15.0
_CLOCK_SECONDS = 5.0
"""How far the clocks may lie apart: the age at which Binance refuses a signed request by default."""


@dataclass(frozen=True)
class _Answer:
    """What the exchange said; `ours` is this machine's at the middle of the question."""

    theirs: MarketTime
    ours: WallTime
    closed: frozenset[str]


def check_exchange(
    settings: Settings, *, clock: WallClock = system_clock, timeout_seconds: float = _TIMEOUT_SECONDS
) -> str:
    """Return what the exchange says.

    Raises `SetupError` where it does not answer, has closed a symbol or shows another time, `DataError` where it lists
    no such symbol.
    """
    import ccxt

    exchange = settings.trendbot.exchange
    named = f"{exchange.id}{' (test network)' if exchange.testnet else ''}"
    if exchange.rest_url:
        named += f" at {exchange.rest_url}"
    begun = time.monotonic()
    try:
        answer = asyncio.run(_ask(settings, clock=clock, timeout_seconds=timeout_seconds))
    except (ccxt.BaseError, TimeoutError) as error:
        if settings.sandbox.enabled and isinstance(error, ccxt.NetworkError):
            return _sandbox(settings)
        seconds = time.monotonic() - begun
        why = f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
        raise SetupError(
            f"{named} does not answer as it should (after {seconds:.1f} s, {why}); see whether this machine may reach "
            "it and whether trendbot.exchange is right, or leave it out with --offline"
        ) from error
    if answer.closed:
        raise SetupError(f"{named} lists {', '.join(sorted(answer.closed))} as closed: nothing can be traded there now")
    # Where the exchange is elsewhere it may be a replay, whose time is its own.
    if not exchange.rest_url:
        refuse_other_time(named, theirs=answer.theirs, ours=answer.ours)
    return f"{named} answers and lists {', '.join(settings.trendbot.symbols)}; its time is {iso(answer.theirs)}"


def _sandbox(settings: Settings) -> str:
    """Return that the sandbox does not run. Raises `SetupError` where it would not list a symbol if it did."""
    ids = {symbol: symbol.partition(":")[0].replace("/", "") for symbol in settings.trendbot.symbols}
    listed = settings.sandbox.symbols
    missing = [symbol for symbol, known_as in ids.items() if known_as not in listed]
    if missing:
        raise SetupError(
            f"trendbot.symbols names {', '.join(missing)}, and the sandbox would list {', '.join(listed)} only; "
            "see sandbox.symbols"
        )
    return "the sandbox's, which does not run now"


def refuse_other_time(named: str, *, theirs: MarketTime, ours: WallTime) -> None:
    """Raise `SetupError` where this machine's clock and the exchange's lie too far apart."""
    ahead = ours.seconds - theirs.seconds
    if abs(ahead) > _CLOCK_SECONDS:
        raise SetupError(
            f"this machine's clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} that of {named}; "
            "set it by NTP (timedatectl set-ntp true)"
        )


async def _ask(settings: Settings, *, clock: WallClock, timeout_seconds: float) -> _Answer:
    from nightdesk_trendbot.market import SilentListener, open_exchange

    symbols = settings.trendbot.symbols
    async with (
        open_exchange(settings.trendbot.exchange, SilentListener()) as exchange,
        asyncio.timeout(timeout_seconds),
    ):
        await exchange.load(symbols)
        before = clock()
        theirs = await exchange.now()
        ours = before + (clock() - before) / 2
        return _Answer(theirs, ours, frozenset(symbols) - await exchange.open_markets(symbols))
