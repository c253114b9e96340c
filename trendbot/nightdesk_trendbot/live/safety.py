"""What stops the bot: its kill switch, and candles that come too late to act upon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from nightdesk_core.clock import TimeScale, WallClock, system_clock
from nightdesk_core.journal import Journal
from nightdesk_guard import AccountView, Anchors, KillLimits, KillSwitch, KillSwitchState, Tripwire, drill, notices
from nightdesk_guard.settings import GuardSettings

from nightdesk_trendbot.engine import broker
from nightdesk_trendbot.engine.engine import Engine
from nightdesk_trendbot.engine.state import EngineState, equity, new_state, with_book
from nightdesk_trendbot.live.stored_market import KILLS_KEY
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.prices import Prices
from nightdesk_trendbot.model.strategy import Strategy
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals.regime import Regime
from nightdesk_trendbot.signals.signal import Outcome, Signal, decide

_ANCHORS_KEY = "kill switch anchors"
_PEAK_STEP = 0.001
"""A peak that rises by less is not worth a write to the disk."""


@dataclass(frozen=True)
class SafetyParts:
    """What the bot's safety is made of."""

    journal: Journal
    switch: KillSwitch
    guard: GuardSettings
    limits: KillLimits
    scale: TimeScale
    clock: WallClock = system_clock


class Safety:
    """The bot's own eyes on its kill switch and its clock."""

    def __init__(self, parts: SafetyParts, prices: Prices, market_clock: MarketClock) -> None:
        """Raises `DamagedJournalError` where what the journal remembers of the switch cannot be read."""
        self._parts = parts
        self._prices = prices
        self._market_clock = market_clock
        anchors, seen = parts.journal.load(_ANCHORS_KEY), parts.journal.load(KILLS_KEY)
        self.tripwire = Tripwire(
            parts.switch,
            parts.limits,
            positions=parts.guard.kill_switch.positions,
            anchors=None if anchors is None else Anchors.from_json(anchors),
            clock=parts.clock,
        )
        self._saved = self.tripwire.anchors
        self._seen = KillSwitchState(active=False) if seen is None else KillSwitchState(**seen)
        self.tripwire.remember(self._seen)

    def adopt(self, guard: GuardSettings, limits: KillLimits) -> None:
        """Go on with other settings."""
        self._parts = replace(self._parts, guard=guard, limits=limits)
        self.tripwire.limits, self.tripwire.positions = limits, guard.kill_switch.positions

    def look(self, state: EngineState) -> tuple[KillSwitchState, bool]:
        """Return how the kill switch stands, and whether it was moved since the last look.

        Also a switch that was activated and lifted between two looks has moved. What was seen is in the journal before
        this returns.
        """
        self.tripwire.remember(self._seen)
        switch = self.tripwire.look(lambda: self._view(state))
        moved = switch != self._seen
        if moved or self._anchors_moved():
            journal = self._parts.journal
            with journal.transaction():
                self._saved = self.tripwire.anchors
                journal.save(_ANCHORS_KEY, self._saved.to_json())
                if moved:
                    journal.save(KILLS_KEY, asdict(switch))
                for notice in notices.of_activation(switch, self._seen):
                    journal.post(*notice)
            self._seen = switch
        return switch, moved

    def _anchors_moved(self) -> bool:
        """Return whether the anchors moved enough to be written: not with every tick that sets a new peak."""
        now, before = self.tripwire.anchors, self._saved
        return replace(now, peak=before.peak) != before or now.peak > before.peak * (1 + _PEAK_STEP)

    @property
    def killed(self) -> bool:
        """Whether the kill switch is active at this moment."""
        return self.tripwire.state().active

    def closable(self, state: EngineState) -> dict[str, float]:
        """Return the prices at which open positions can be closed: none that is stale."""
        limit = self._parts.scale.limit(self._parts.guard.entries.stale_seconds)
        return self._prices.fresh(_held(state), within_seconds=limit)

    @property
    def clock_is_off(self) -> bool:
        """Whether the exchange's clock and ours are known to differ by too much."""
        offset = self._market_clock.offset_seconds
        return offset is not None and abs(offset) > self._parts.guard.entries.clock_offset_seconds

    def late(self, close_time: int, interval_seconds: int) -> Outcome | None:
        """Return why nothing may be entered on a candle that closed at a market time; `None` where it is in time."""
        entries, scale = self._parts.guard.entries, self._parts.scale
        if self.clock_is_off:
            return Outcome.BLOCKED_CLOCK
        age = self._market_clock.age(close_time)
        # Where candles are shorter than that, one that is older than the next is late.
        if age <= scale.limit(min(entries.stale_seconds, interval_seconds)):
            return None
        return Outcome.BLOCKED_GAP if age >= scale.interval(interval_seconds) else Outcome.BLOCKED_STALE

    def drill(self, disobedience: Callable[[], str]) -> str:
        """Return what of the kill switch would not work, empty where it would: on its own disk, and in the bot."""
        folder = self._parts.switch.path.parent
        return drill(folder, self._parts.limits, acts=disobedience, clock=self._parts.clock)

    def _view(self, state: EngineState) -> AccountView:
        prices = self._prices.newest
        now = equity(state, prices)
        notional = sum(
            abs(broker.exposure(book.account, prices.get(symbol, book.mark)))
            for symbol, book in state.books.items()
            if book.account.side != 0
        )
        return AccountView(
            equity=now,
            leverage=notional / max(now, 1e-9),
            # The candles' time: a bot that catches up on three days has not lost in one what it lost in three.
            market_time=float(state.last_close),
            priced_at=self._prices.oldest(_held(state)),
        )


def _held(state: EngineState) -> list[str]:
    return [symbol for symbol, book in state.books.items() if book.account.side != 0]


def disobedience(engine: Engine, strategy: Strategy, settings: TrendbotSettings) -> str:
    """Return what of the bot would not obey an active kill switch, empty where all of it would. Touches no state."""
    symbol, time = settings.symbols[0], 86_400
    wish = Signal(Regime.TRENDING_UP, 1, 1, 1.0, 1.0, 0.0)
    state = new_state(settings.symbols, settings.initial_equity)
    refused = decide(wish, strategy.permission(None, None, state, wish, killed=True), in_position=False)
    order = broker.Order(1, 1.0, settings.initial_equity, broker.Barriers(0.1, 0.1, 3600))
    waiting = with_book(state, symbol, replace(state.books[symbol], account=broker.place(broker.flat(0.0), order)))
    cancelled = engine.cancel_orders(waiting)
    entered = engine.at_open(waiting, symbol, time=time, price=100.0)
    closed, trades = engine.close_positions(entered, {symbol: 100.0}, time=time)
    found = {
        "an entry was not blocked": refused.outcome is not Outcome.BLOCKED_KILL_SWITCH,
        "an order was not taken back": cancelled.books[symbol].account.waiting,
        "no position was entered to be closed": entered.books[symbol].account.side != 1,
        "a position was not closed": closed.books[symbol].account.side != 0 or len(trades) != 1,
    }
    return "; ".join(what for what, wrong in found.items() if wrong)
