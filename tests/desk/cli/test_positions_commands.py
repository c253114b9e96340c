"""`nightdesk positions`: what is open, and the order to close it, which a bot takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk.cli import positions
from nightdesk.cli.main import app
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import Journal
from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.state import Book, new_state
from nightdesk_trendbot.live import CloseOrders
from nightdesk_trendbot.live.close_orders import keep_outcome
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from typer.testing import CliRunner

OLD = "OLD/USDT:USDT"
ENTERED = 1_500_000_400 // 3600 * 3600


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stopped bot's state folder: a position is open in a symbol that the settings do not name."""
    monkeypatch.setattr(positions, "_WAIT_SECONDS", 0.3)
    (tmp_path / "nightdesk.yml").write_text("home: home\nbot: {name: btc}\n")
    found = tmp_path / "home" / "state"
    account = broker.flat(0.0)._replace(
        side=1, quantity=50.0, entry_time=ENTERED, entry_price=2.0, target_price=2.04, stop_price=1.98, deadline=ENTERED
    )
    state = new_state((OLD,), 1000.0)
    book = Book(account, mark=2.01, last_open=MarketTime(ENTERED))
    journal = Journal(found / "btc.sqlite")
    journal.save(STATE_KEY, stored.plain(_with(state, book)))
    journal.close()
    return found


def _with(state: object, book: Book) -> object:
    from dataclasses import replace

    return replace(state, books={OLD: book}, last_close=MarketTime(ENTERED + 3600))  # type: ignore[type-var]


def run(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["--settings", str(folder.parents[1] / "nightdesk.yml"), "positions", *words])
    if isinstance(done.exception, NightdeskError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def close(folder: Path, *, at: str, symbol: str = OLD, more: tuple[str, ...] = ()) -> str:
    return run(folder, "close", symbol, "--at", at, "--reason", "delisted", *more)


def test_what_is_open_is_listed_also_of_a_symbol_that_the_settings_do_not_name(folder: Path) -> None:
    header, row = run(folder, "--csv").splitlines()
    assert header.split(",")[:7] == [
        "symbol",
        "side",
        "quantity",
        "entry_price",
        "target_price",
        "stop_price",
        "deadline",
    ]
    assert row.startswith(f"{OLD},long,50.0,2.0,2.04,1.98,")


def test_an_order_is_kept_for_the_bot_audited_and_listed(folder: Path) -> None:
    said = close(folder, at="1.9")
    assert f"ordered: long 50 {OLD} is closed at 1.9" in said
    assert "not taken yet" in said
    (order,) = CloseOrders(folder).waiting()
    assert (order.symbol, order.price, order.reason, order.entry_time) == (OLD, 1.9, "delisted", MarketTime(ENTERED))
    (entry,) = AuditLog(folder / "audit.jsonl").entries()
    assert (entry.event, entry.details["key"], entry.actor) == ("position_close_ordered", order.key, order.actor)
    assert run(folder, "--csv").splitlines()[1].endswith(",1.9")


@pytest.mark.parametrize("at", ["1.5", "2.5", "0.0001"])
def test_a_price_far_from_the_last_one_wants_a_second_word(at: str, folder: Path) -> None:
    with pytest.raises(
        NightdeskError, match=r"from the last price of OLD/USDT:USDT, 2\.01; if it is what was got"
    ) as far:
        close(folder, at=at)
    assert far.value.exit_code == 2
    assert CloseOrders(folder).waiting() == ()
    close(folder, at=at, more=("--yes",))
    assert len(CloseOrders(folder).waiting()) == 1


@pytest.mark.parametrize("at", ["0", "nan", "inf"])
def test_what_is_no_price_is_refused(at: str, folder: Path) -> None:
    with pytest.raises(NightdeskError, match="is no price"):
        close(folder, at=at, more=("--yes",))


def test_a_symbol_in_which_nothing_is_open_is_refused_and_what_is_open_is_named(folder: Path) -> None:
    with pytest.raises(NightdeskError, match=f"no position in BTC is open; open are: {OLD}"):
        close(folder, at="2", symbol="BTC")


def test_what_the_bot_made_of_the_order_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give = CloseOrders.give

    def given_and_taken(self: CloseOrders, *words: str, **more: object) -> object:
        order = give(self, *words, **more)  # type: ignore[arg-type]
        journal = Journal(folder / "btc.sqlite")
        with journal.transaction():
            keep_outcome(journal, order, time=MarketTime(ENTERED + 3600))
        journal.close()
        return order

    monkeypatch.setattr(CloseOrders, "give", given_and_taken)
    assert "closed; see `nightdesk trades`" in close(folder, at="2")
