"""What stops the bot beside its guard: prices too old to close by, candles too late to enter on, a moved switch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, TimeScale, WallTime
from nightdesk_core.journal.journal import Journal
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_guard import GuardParts, GuardRuntime, KillLimits, KillSwitch, KillSwitchState, PerformanceGuard
from nightdesk_guard.settings import GuardSettings
from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.state import EngineState, new_state
from nightdesk_trendbot.live.guard_store import JournalGuardStore
from nightdesk_trendbot.live.safety import Safety, kill_switch_defects
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.prices import Prices
from nightdesk_trendbot.model.strategy import Strategy
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.signal import Outcome

from tests.trendbot.conftest import FIRST_HOUR, HOUR
from tests.trendbot.engine_desk import entered

BTC, EUR = "BTC/USDT:USDT", "EUR/USDT:USDT"


class Bot:
    """A bot's safety and its guard at a real exchange, by a wall clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = float(FIRST_HOUR + 10 * HOUR)
        self.folder = folder
        self.journal = Journal(folder / "btc.sqlite")
        self.audit = AuditLog(folder / "audit.jsonl")
        self.switch = KillSwitch(folder)
        self.clock = MarketClock(TimeScale(), lambda: WallTime(self.now))
        self.prices = Prices([BTC, EUR], lambda: WallTime(self.now))
        self.safety = Safety(GuardSettings().entries, TimeScale(), self.prices, self.clock)
        self.state = new_state([BTC, EUR], 1000.0)
        self.guard = self.restarted()

    def restarted(self) -> GuardRuntime:
        return GuardRuntime(
            GuardParts(
                state_dir=self.folder,
                performance=PerformanceGuard(GuardSettings(), break_even_win_rate=0.38),
                kill_limits=KillLimits(),
                store=JournalGuardStore(self.journal, self.state.guard),
                account=lambda: self.safety.account(self.state),
                requests=RetrainRequests(self.folder, self.audit),
                audit=self.audit,
                tests_itself=False,
                clock=lambda: WallTime(self.now),
            )
        )

    def look(self, state: EngineState) -> tuple[KillSwitchState, bool]:
        """Look at the kill switch with an account."""
        self.state = state
        return self.guard.look()


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    return Bot(tmp_path)


@pytest.fixture
def flat() -> EngineState:
    return new_state([BTC, EUR], 1000.0)


@pytest.fixture
def holding(plain: TrendbotSettings) -> EngineState:
    return entered(plain).state


@pytest.mark.parametrize(
    ("late_seconds", "reason"),
    [
        (300, None),
        (301, Outcome.BLOCKED_STALE),
        (3599, Outcome.BLOCKED_STALE),
        (3600, Outcome.BLOCKED_GAP),
        (90_000, Outcome.BLOCKED_GAP),
    ],
)
def test_a_candle_is_too_late_after_five_minutes_and_history_once_the_next_has_closed(
    late_seconds: int, reason: Outcome | None, bot: Bot
) -> None:
    assert bot.safety.late(MarketTime(int(bot.now) - late_seconds), HOUR) is reason


@pytest.mark.parametrize(
    ("late_seconds", "reason"), [(60, None), (61, Outcome.BLOCKED_GAP), (299, Outcome.BLOCKED_GAP)]
)
def test_a_candle_of_a_minute_is_history_once_the_next_has_closed(
    late_seconds: int, reason: Outcome | None, bot: Bot
) -> None:
    assert bot.safety.late(MarketTime(int(bot.now) - late_seconds), 60) is reason


@pytest.mark.parametrize(("offset", "blocked"), [(2.0, False), (2.1, True), (-2.1, True)])
def test_a_clock_that_is_off_blocks_entries_until_it_is_right_again(offset: float, blocked: bool, bot: Bot) -> None:
    bot.clock.observe(MarketTime(bot.now + offset))
    assert (bot.safety.late(MarketTime(int(bot.now)), HOUR) is Outcome.BLOCKED_CLOCK) == blocked
    bot.clock.observe(MarketTime(bot.now))
    assert bot.safety.late(MarketTime(int(bot.now)), HOUR) is None


def test_an_open_position_without_a_price_for_half_an_hour_trips_the_switch_and_is_kept(
    bot: Bot, holding: EngineState, flat: EngineState
) -> None:
    bot.prices.note({BTC: 100.0})
    bot.now += 1801
    assert not bot.look(flat)[0].active, "with nothing open no price is needed"
    switch, moved = bot.look(holding)
    assert (switch.active, switch.positions, moved) == (True, "keep", True)
    assert bot.guard.is_killed
    assert bot.safety.closable(holding) == {}


def test_a_market_that_is_closed_has_no_stale_price(bot: Bot, holding: EngineState) -> None:
    bot.prices.note({BTC: 100.0})
    bot.prices.markets(frozenset())
    bot.now += 50 * HOUR
    assert not bot.look(holding)[0].active
    bot.prices.markets(frozenset({BTC}))
    assert not bot.look(holding)[0].active, "it has only just opened"
    assert bot.safety.closable(holding) == {BTC: 100.0}
    bot.now += 1801
    assert bot.look(holding)[0].active


def test_positions_are_closed_only_at_a_price_of_the_last_five_minutes(bot: Bot, holding: EngineState) -> None:
    assert bot.safety.closable(holding) == {}
    bot.prices.note({BTC: 101.5, EUR: 1.1})
    bot.now += 300
    assert bot.safety.closable(holding) == {BTC: 101.5}
    bot.now += 1
    assert bot.safety.closable(holding) == {}


def test_the_price_of_a_candle_that_is_caught_up_on_closes_nothing(bot: Bot, holding: EngineState) -> None:
    bot.now += 1000
    bot.prices.note({BTC: 90.0}, age_seconds=bot.clock.age(MarketTime(bot.now - 301)))
    assert bot.safety.closable(holding) == {}
    bot.prices.note({BTC: 91.0}, age_seconds=bot.clock.age(MarketTime(bot.now - 299)))
    assert bot.safety.closable(holding) == {BTC: 91.0}
    bot.prices.note({BTC: 92.0}, age_seconds=0.0)
    bot.prices.note({BTC: 93.0}, age_seconds=200.0)
    bot.now += 300
    assert bot.safety.closable(holding) == {BTC: 93.0}


def test_what_was_lost_in_days_that_are_caught_up_on_is_no_day_s_loss(bot: Bot, holding: EngineState) -> None:
    bot.prices.note({BTC: 100.0})
    day = 24 * HOUR
    for number, price in enumerate((100.0, 92.0, 84.0, 76.0)):
        bot.prices.note({BTC: price})
        assert not bot.look(replace(holding, last_close=MarketTime(FIRST_HOUR + number * day)))[0].active
    bot.prices.note({BTC: 64.0})
    assert bot.look(replace(holding, last_close=MarketTime(FIRST_HOUR + 3 * day)))[0].reason.startswith("daily loss")


def test_equity_and_leverage_are_marked_to_the_newest_price(bot: Bot, holding: EngineState) -> None:
    bot.prices.note({BTC: 100.0})
    bot.look(holding)
    bot.prices.note({BTC: 80.0})
    switch, _ = bot.look(holding)
    assert switch.active
    assert switch.reason.startswith("daily loss 9.95%"), "half of the equity fell by a fifth"


def test_what_it_saw_survives_a_restart_and_what_it_did_is_posted_once(bot: Bot, flat: EngineState) -> None:
    assert bot.look(flat) == (bot.switch.state(), False)
    bot.switch.activate("by hand", actor="ann")
    assert bot.look(flat)[1]
    assert bot.journal.outbox() == [], "the command line records what it does"
    bot.switch.resume("enough", actor="ann")
    assert bot.look(flat)[1]
    bot.switch.kill_file.touch()
    switch, moved = bot.look(flat)
    assert moved
    assert [posted.content["details"]["reason"] for posted in bot.journal.outbox()] == [switch.reason]
    bot.guard = bot.restarted()
    assert bot.look(flat) == (switch, False)
    bot.switch.path.unlink()
    bot.switch.kill_file.unlink()
    bot.guard = bot.restarted()
    again, moved = bot.look(flat)
    assert (again.active, moved) == (True, True)
    assert again.reason.startswith("its latch was lost or restored from before: ")


@pytest.mark.parametrize("damaged", [False, True])
def test_a_latch_that_is_deleted_while_the_bot_runs_holds_on(damaged: bool, bot: Bot, flat: EngineState) -> None:
    bot.switch.activate("by hand", actor="ann")
    bot.look(flat)
    if damaged:
        bot.switch.path.write_text("{")
        assert bot.look(flat)[0].reason.startswith("kill_switch.json cannot be read")
    bot.switch.path.unlink()
    switch, moved = bot.look(flat)
    assert (switch.active, moved) == (True, True)
    assert bot.switch.state() == switch, "it lies on the disk again"
    bot.switch.resume("enough", actor="ann")
    assert not bot.look(flat)[0].active


@pytest.mark.parametrize(("content", "actor"), [("{", "guard"), (None, "bot")])
def test_an_activation_that_no_command_recorded_is_posted_whoever_it_was(
    content: str | None, actor: str, bot: Bot, flat: EngineState
) -> None:
    if content is None:
        bot.switch.activate("the journal was damaged", actor="bot")
    else:
        bot.switch.path.write_text(content)
    for _ in range(2):
        assert bot.look(flat)[0].active
    assert [posted.content["details"]["actor"] for posted in bot.journal.outbox()] == [actor]


def test_the_bot_obeys_an_active_switch_in_every_way_and_the_self_test_says_so(
    bot: Bot, settings: TrendbotSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(settings, interval_seconds=HOUR, guard=None)
    strategy = Strategy(settings)
    assert kill_switch_defects(engine, strategy, settings) == ""
    bot.guard.self_test(lambda: kill_switch_defects(engine, strategy, settings))
    assert not bot.guard.is_killed
    monkeypatch.setattr(Engine, "cancel_orders", lambda _, state: state)
    monkeypatch.setattr(Engine, "close_positions", lambda _, state, _prices, *, time: (state, ()))
    found = "an order was not taken back; a position was not closed"
    assert kill_switch_defects(engine, strategy, settings) == found
    bot.guard.self_test(lambda: kill_switch_defects(engine, strategy, settings))
    assert bot.switch.state().reason == f"self-test: {found}"


def test_closing_leaves_no_position_and_one_trade_for_each(plain: TrendbotSettings, holding: EngineState) -> None:
    engine = Engine(plain, interval_seconds=HOUR, guard=None)
    after, (trade,) = engine.close_positions(holding, {BTC: 110.0}, time=MarketTime(77))
    assert (trade.exit_reason, trade.exit_time) == ("kill_switch", 77)
    assert trade.exit_price == pytest.approx(110 * 0.98)
    assert after.books[BTC].account == broker.flat(after.books[BTC].account.realised)
    assert after.books[BTC].account.realised == pytest.approx(trade.profit)
    assert engine.close_positions(after, {BTC: 110.0}, time=MarketTime(78)) == (after, ())
    untouched, none = engine.close_positions(holding, {}, time=MarketTime(77))
    assert untouched is holding
    assert none == ()
