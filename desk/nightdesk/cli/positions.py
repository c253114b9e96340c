"""Commands about open positions: what is open, and the close of one by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from nightdesk_core.clock import MarketTime, iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal, journal_path, read_journal

from nightdesk import home
from nightdesk.cli.choice import actor
from nightdesk.cli.target import BotName, find_or_new
from nightdesk.settings import Settings
from nightdesk.terminal import say

if TYPE_CHECKING:
    from nightdesk_trendbot.live import CloseOrders

app = typer.Typer(help="Open positions: list them, close one by hand.")

_FAR_RATIO = 0.2
"""A price so far from the last one known is confirmed by --yes: a slipped digit costs more than a second look."""
_WAIT_SECONDS = 3.0
"""A running bot takes an order within half a second."""
_LOOK_SECONDS = 0.25


class UnconfirmedError(NightdeskError):
    """What was asked for is unusual, and wants a second word."""

    exit_code = 2


@app.callback(invoke_without_command=True)
def positions(
    context: typer.Context,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, in full precision.")] = False,
    bot: BotName = None,
) -> None:
    """Print what is open: side, size, entry, barriers, since when, and the last price known.

    It works while the bot runs and while it is stopped.

    Examples: [bold]nightdesk positions[/bold]
    [bold]nightdesk positions close OLD/USDT:USDT --at 0.0421 --reason "delisted, settled at 0.0421"[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from nightdesk.cli.tables import show

    settings = find_or_new(context, bot).settings
    with _journal(settings) as journal:
        rows = _open_positions(settings, journal)
    ordered = {(order.symbol, order.entry_time.seconds): order.price for order in _orders(settings).waiting()}
    show(
        [
            {
                **{name: value for name, value in row.items() if name != "entry_time"},
                "since": iso(row["entry_time"]),
                "close_ordered_at": ordered.get((row["symbol"], row["entry_time"])),
            }
            for row in rows
        ],
        as_csv=as_csv,
    )


@app.command()
def close(
    context: typer.Context,
    symbol: Annotated[str, typer.Argument(help="The symbol, as `nightdesk positions` lists it.")],
    price: Annotated[float, typer.Option("--at", help="The price that was got, in the quote currency.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    confirmed: Annotated[
        bool, typer.Option("--yes", help="Also where the price is more than 20% from the last one known.")
    ] = False,
    bot: BotName = None,
) -> None:
    """Close an open position in the bot's books at a price of yours: one that was delisted, or closed elsewhere.

    The bot trades on paper: no order goes to any exchange. The price is taken as it is, without slippage; the fee is
    that of any exit. A running bot takes the order within a second, a stopped one before anything else at its next
    start, and carries it out once. It is in the audit log with your name, in `nightdesk trades` with the exit reason
    `operator` and in `nightdesk decisions`; equity and drawdown count it, the guard's win rate and losing streak do
    not.

    Examples: [bold]nightdesk positions close OLD/USDT:USDT --at 0.0421 --reason "delisted, settled at 0.0421"[/bold]
    [bold]nightdesk positions close OLD/USDT:USDT --at 0.001 --reason "worthless" --yes[/bold]
    """
    from nightdesk_trendbot.live import is_price

    settings = find_or_new(context, bot).settings
    if not is_price(price):
        raise UnconfirmedError(f"--at {price:g} is no price: write what one unit was closed at, such as 0.0421")
    if not reason.strip():
        raise UnconfirmedError("--reason is empty: say why, it is what the audit log will know")
    with _journal(settings) as journal:
        found = {row["symbol"]: row for row in _open_positions(settings, journal)}
    if symbol not in found:
        raise NightdeskError(f"no position in {symbol} is open; open are: {', '.join(found) or 'none'}")
    row = found[symbol]
    away = price / row["last_price"] - 1
    if abs(away) > _FAR_RATIO and not confirmed:
        raise UnconfirmedError(
            f"{price:g} is {away:+.0%} from the last price of {symbol}, {row['last_price']:g}; if it is what was got,"
            " say so with --yes"
        )
    orders = _orders(settings)
    order = orders.give(
        symbol, entry_time=MarketTime(row["entry_time"]), price=price, reason=reason.strip(), actor=actor()
    )
    home.audit_log(settings).append("position_close_ordered", stored.plain(order), actor=actor())
    say(f"ordered: {row['side']} {row['quantity']:g} {symbol} is closed at {price:g}")
    say(_what_became(settings, order.key))


def _what_became(settings: Settings, key: str) -> str:
    from nightdesk_trendbot.live import close_outcomes

    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        with _journal(settings) as journal:
            for each in close_outcomes(journal):
                if each.order.key == key:
                    return f"not closed: {each.refused}" if each.refused else "closed; see `nightdesk trades`"
        time.sleep(_LOOK_SECONDS)
    return "not taken yet: the bot takes it once a candle has confirmed the entry, or first thing when it is started"


@contextmanager
def _journal(settings: Settings) -> Iterator[Journal]:
    path = journal_path(home.state_dir(settings), settings.bot.name)
    if not path.exists():
        raise NightdeskError(f"there is no journal at {path}: has the bot run?")
    with read_journal(path) as journal:
        yield journal


def _open_positions(settings: Settings, journal: Journal) -> list[dict[str, Any]]:
    from nightdesk_trendbot.live import restored

    state = restored(journal, settings.trendbot)
    held = {} if state is None else {name: book for name, book in state.books.items() if book.account.side != 0}
    return [
        {
            "symbol": symbol,
            "side": "long" if book.account.side > 0 else "short",
            "quantity": book.account.quantity,
            "entry_price": book.account.entry_price,
            "target_price": book.account.target_price,
            "stop_price": book.account.stop_price,
            "deadline": iso(book.account.deadline),
            "last_price": book.mark,
            "entry_time": book.account.entry_time,
        }
        for symbol, book in held.items()
    ]


def _orders(settings: Settings) -> CloseOrders:
    from nightdesk_trendbot.live import CloseOrders

    return CloseOrders(home.state_dir(settings))
