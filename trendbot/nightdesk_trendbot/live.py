"""The live loop: candles in, decisions out, everything journalled before it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

import ccxt
from loguru import logger
from nightdesk_core.bundle import BundleError
from nightdesk_core.clock import TimeScale, WallClock, iso, system_clock
from nightdesk_core.journal import Journal
from nightdesk_core.pipeline import DataError
from nightdesk_core.registry import RegistryError
from nightdesk_exporter import BotExporter, Limits, ModelInUse, Position
from nightdesk_guard import GuardState, KillSwitch, PerformanceGuard

from nightdesk_trendbot import broker
from nightdesk_trendbot.candles import TIMEFRAME_SECONDS
from nightdesk_trendbot.champion import ChampionWatch
from nightdesk_trendbot.decisions import DecisionLog, DecisionRecord
from nightdesk_trendbot.engine import Engine, EngineState, StepResult, equity, new_state
from nightdesk_trendbot.exchange import Exchange, open_exchange, persistently
from nightdesk_trendbot.feed import Event, Feed, Marked, MarketsOpen, Opened, Step
from nightdesk_trendbot.history import History
from nightdesk_trendbot.market import KILLS_KEY, MARKET_KEY, STATE_KEY, market_of, restored
from nightdesk_trendbot.market_clock import MarketClock
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.regime import Regime
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import Outcome, Permission, Signal
from nightdesk_trendbot.strategy import Strategy

_HOUSEKEEPING_SECONDS = 0.5
_STREAM_SILENCE_SECONDS = 90.0
_CLOCK_SECONDS = 60.0
"""How often the exchange's clock is held against ours."""
_SETTLED_SECONDS = 10.0
"""So long after its end REST has a candle for certain."""
_DAY_SECONDS = 86_400
_NOTED = (
    Outcome.BLOCKED_NO_MODEL,
    Outcome.BLOCKED_KILL_SWITCH,
    Outcome.BLOCKED_GUARD,
    Outcome.BLOCKED_EXPOSURE,
)


@dataclass(frozen=True)
class LiveParts:
    """What the live loop is made of."""

    settings: TrendbotSettings
    journal: Journal
    decisions: DecisionLog
    watch: ChampionWatch
    kill_switch: KillSwitch
    guard: PerformanceGuard
    exporter: BotExporter
    scale: TimeScale
    contact_limit_seconds: float
    """No contact with the exchange for longer is an alert (wall time)."""
    clock: WallClock = system_clock


class LiveBot:
    """Trades some symbols on paper. Killed at any moment, it goes on where its journal ends."""

    def __init__(self, parts: LiveParts) -> None:
        """Raises `JournalError` where the journal belongs to another market, or its state cannot be read."""
        self._parts = parts
        self._settings = parts.settings
        self._exporter = parts.exporter
        self._interval = TIMEFRAME_SECONDS[parts.settings.timeframe]
        self._engine = Engine(parts.settings, interval_seconds=self._interval, guard=parts.guard)
        self._strategy = Strategy(parts.settings)
        self._history = History(parts.settings, interval_seconds=self._interval)
        self._clock = MarketClock(parts.scale, parts.clock)
        self._prices: dict[str, float] = {}
        self._regimes: dict[str, Regime] = {}
        self._open_markets: frozenset[str] = frozenset()
        stored = restored(parts.journal, parts.settings)
        self._fresh = stored is None
        self._state = new_state(parts.settings.symbols, parts.settings.initial_equity) if stored is None else stored

    async def run(self) -> None:
        """Trade until cancelled. Raises `DataError` where the exchange cannot be reached at the start."""
        self._look_for_model()
        self._report_standing()
        async with open_exchange(self._settings.exchange, self._exporter) as exchange:
            symbols, timeframe = self._settings.symbols, self._settings.timeframe
            housekeeping = [asyncio.create_task(self._keep_house())]
            try:
                await persistently(lambda: exchange.load(symbols), "loading the markets")
                now = int(await persistently(exchange.now, "asking for the time"))
                start = now // self._interval * self._interval if self._fresh else self._state.last_close
                if self._fresh:
                    await asyncio.sleep(self._until_settled(now - start))
                    self._begin_at(start)
                elif now < self._state.last_close - _DAY_SECONDS:
                    raise DataError(
                        f"the exchange's time, {iso(now)}, lies before the journal's last candle,"
                        f" {iso(self._state.last_close)}: this is another market's journal, or another replay's;"
                        " set the state folder aside, or run `nightdesk run --fresh`"
                    )
                count = await self._history.load(exchange, stop=start)
                logger.info("{} bars of history; following {} from {}", count, ", ".join(symbols), iso(start))
                housekeeping.append(asyncio.create_task(self._watch_clock(exchange)))
                feed = Feed(
                    exchange,
                    self._exporter,
                    symbols=symbols,
                    timeframe=timeframe,
                    interval_seconds=self._interval,
                    costs=self._settings.costs,
                    clock=self._clock,
                    after=start - self._interval,
                    # A stream that says nothing is asked after well before anybody is alarmed: markets close, too.
                    silence_seconds=min(_STREAM_SILENCE_SECONDS, self._parts.contact_limit_seconds / 3),
                    longest_wait_seconds=self._parts.scale.limit(30.0),
                    # An exchange's REST lags a second or so behind its stream, however fast a replay of it is.
                    longest_lag_seconds=4.0 if self._parts.scale.speed == 1.0 else 0.1,
                )
                self._on_markets(frozenset(symbols))
                async with aclosing(feed.events()) as events:
                    async for event in events:
                        self.handle(event)
                        for task in housekeeping:
                            if task.done():
                                task.result()
            finally:
                for task in housekeeping:
                    task.cancel()

    def adopt(self, settings: TrendbotSettings, guard: PerformanceGuard, limits: Limits) -> None:
        """Go on with other settings from the next candle on: such as need no other history and no other journal."""
        self._parts = replace(self._parts, settings=settings, guard=guard)
        self._settings = settings
        self._engine = Engine(settings, interval_seconds=self._interval, guard=guard)
        self._strategy = Strategy(settings)
        self._history.adopt(settings)
        self._parts.watch.adopt(settings)
        self._exporter.set_limits(limits)
        self._report_guard()

    def handle(self, event: Event) -> None:
        """Act on one event of the feed."""
        match event:
            case Opened(symbol, time, price):
                self._on_open(symbol, time, price)
            case Step():
                self._on_step(event)
            case Marked(symbol, price):
                self._prices[symbol] = price
                self._report_account()
            case MarketsOpen(symbols):
                self._on_markets(symbols)

    def _until_settled(self, age_seconds: float) -> float:
        """Return how long to wait until REST has the candle that ended `age_seconds` ago as it ended."""
        return max(0.0, _SETTLED_SECONDS - age_seconds) if self._parts.scale.speed == 1.0 else 0.0

    def _begin_at(self, start: int) -> None:
        books = {symbol: replace(book, last_open=start - self._interval) for symbol, book in self._state.books.items()}
        self._state = replace(self._state, books=books, last_close=start)
        with self._parts.journal.transaction():
            self._parts.journal.save(STATE_KEY, self._state.to_json())
            self._parts.journal.save(MARKET_KEY, market_of(self._settings))

    def _on_open(self, symbol: str, time: int, price: float) -> None:
        self._mind_kill_switch()
        before = self._state
        self._move(self._engine.at_open(before, symbol, time=time, price=price))
        account = self._state.books[symbol].account
        if account.side != 0 and before.books[symbol].account.side == 0:
            side = "long" if account.side > 0 else "short"
            logger.info("entered {} {:.6f} {} at {:.5g}", side, account.quantity, symbol, account.entry_price)
        self._prices[symbol] = price
        self._report_account()

    def _move(self, state: EngineState) -> None:
        """Go on from another state, once it is in the journal."""
        if state is not self._state:
            with self._parts.journal.transaction():
                self._parts.journal.save(STATE_KEY, state.to_json())
            self._state = state

    def _mind_kill_switch(self) -> None:
        """Take back the orders that wait, also where the switch was activated and lifted since the last look."""
        switch, journal = self._parts.kill_switch.state(), self._parts.journal
        self._exporter.kill_switch(active=switch.active, reason=switch.reason)
        seen = journal.load(KILLS_KEY)
        now = {"activations": switch.activations}
        if switch.active or (seen is not None and seen != now):
            self._move(self._engine.cancel_orders(self._state))
        if seen != now:
            with journal.transaction():
                journal.save(KILLS_KEY, now)

    def _on_step(self, step: Step) -> None:
        self._look_for_model()
        deployment = self._parts.watch.deployment
        model = None if deployment is None else deployment.model
        signals = {}
        for symbol, bar in step.bars.items():
            self._on_open(symbol, bar.time, bar.open)
            candles = self._history.append(symbol, bar)
            signals[symbol] = self._strategy.signals(candles, model, first=len(candles) - 1)[0]
            self._note_regime(symbol, signals[symbol].regime)
        result = self._engine.at_close(
            self._state,
            step.bars,
            signals=signals,
            permission=self._permission,
            correlation=self._history.correlation,
            model_version="" if model is None else model.version,
        )
        self._log_decisions(step, signals, result, model)
        self._commit(result)
        for symbol, bar in step.bars.items():
            self._prices[symbol] = bar.close
            _, decision = result.decisions[symbol]
            self._exporter.candle(symbol, self._settings.timeframe, close_time=result.state.last_close)
            self._exporter.decision(symbol, outcome=decision.outcome, regime=signals[symbol].regime)
        self._report(result)
        self._report_account()

    def _note_regime(self, symbol: str, regime: Regime) -> None:
        before = self._regimes.get(symbol)
        self._regimes[symbol] = regime
        if before not in (None, regime):
            logger.info("regime of {}: {} to {}", symbol, before, regime)

    def _log_decisions(
        self, step: Step, signals: Mapping[str, Signal], result: StepResult, model: MetaModel | None
    ) -> None:
        for symbol, (permission, decision) in result.decisions.items():
            signal = signals[symbol]
            self._parts.decisions.append(
                DecisionRecord(
                    time=result.state.last_close,
                    symbol=symbol,
                    close=step.bars[symbol].close,
                    regime=signal.regime.value,
                    breakout=signal.breakout,
                    probability=signal.probability,
                    threshold=permission.threshold if model is not None else None,
                    guard=permission.guard.value,
                    size_share=permission.size_share,
                    leverage=decision.leverage,
                    outcome=decision.outcome.value,
                    model_version="" if model is None else model.version,
                )
            )

    def _commit(self, result: StepResult) -> None:
        """Make the step's outcome durable: the guard's state in one transaction with the trades that moved it."""
        journal = self._parts.journal
        with journal.transaction():
            for trade in result.trades:
                journal.record_trade(trade)
            if result.transition is not None:
                journal.record_transition(result.transition)
            journal.record_equity(result.state.last_close, result.state.equity)
            journal.save(STATE_KEY, result.state.to_json())
        self._state = result.state

    def _permission(self, guard_state: GuardState, signal: Signal) -> Permission:
        return self._strategy.permission(
            self._parts.watch.deployment, self._parts.guard, guard_state, signal, killed=self._killed()
        )

    def _killed(self) -> bool:
        return self._parts.kill_switch.state().active

    def _look_for_model(self) -> None:
        watch = self._parts.watch
        try:
            changed = watch.look()
        except (BundleError, RegistryError) as error:
            logger.error("{}; {}", error, "the bot keeps its model" if watch.deployment else "the bot does not trade")
            self._report_model(load_failed=True)
            return
        if changed:
            self._report_model()

    async def _keep_house(self) -> None:
        """Beat the heart and watch the kill switch, though the next candle may be an hour away."""
        while True:
            self._exporter.heartbeat()
            self._mind_kill_switch()
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)

    async def _watch_clock(self, exchange: Exchange) -> None:
        """Hold the exchange's clock against ours now and then."""
        while True:
            # Where the exchange does not answer, the feed says so.
            with suppress(ccxt.BaseError):
                self._clock.observe(await exchange.now())
            if self._clock.offset_seconds is not None:
                self._exporter.clock_offset(self._clock.offset_seconds)
            await asyncio.sleep(self._parts.scale.limit(_CLOCK_SECONDS))

    def _on_markets(self, symbols: frozenset[str]) -> None:
        for symbol in symbols ^ self._open_markets:
            expected = self._parts.scale.interval(self._interval) if symbol in symbols else None
            self._exporter.expect_candles(symbol, self._settings.timeframe, interval_seconds=expected)
            if expected is None:
                logger.info("the market of {} is closed", symbol)
        self._open_markets = symbols
        is_open = bool(symbols)
        if self._exporter.snapshot.trading_expected != is_open:
            logger.info("the exchange says that trading is {}", "open" if is_open else "closed: nothing to trade")
        self._exporter.trading_expected(expected=is_open)

    def _report_standing(self) -> None:
        """Show what the journal and the latch say before the first candle comes."""
        if self._parts.watch.deployment is None:
            logger.error("there is no model: the bot does not trade; run `nightdesk retrain --bootstrap`")
            self._report_model()
        switch = self._parts.kill_switch.state()
        if switch.active:
            logger.critical("the kill switch is active: {}", switch.reason)
        self._mind_kill_switch()
        self._report_guard()
        self._report_account()

    def _report(self, result: StepResult) -> None:
        if result.transition is not None:
            moved = result.transition
            logger.warning("guard: {} to {}: {}", moved.before, moved.after, moved.reason)
            self._exporter.guard_moved(moved.after, reason=moved.reason)
        for trade in result.trades:
            logger.info(
                "closed {} {} at {:.5g} by {}: {:+.2f} {}",
                trade.side,
                trade.symbol,
                trade.exit_price,
                trade.exit_reason,
                trade.profit,
                self._settings.currency,
            )
            self._exporter.trade(trade)
        for symbol, (_, decision) in result.decisions.items():
            if decision.outcome in _NOTED:
                logger.debug("{}: entry blocked: {}", symbol, decision.outcome)
        day_ago = result.state.last_close - _DAY_SECONDS
        self._exporter.recent_trades(len(self._parts.journal.trades(closed_after=day_ago)))
        self._report_guard()

    def _report_guard(self) -> None:
        guard, state = self._parts.guard, self._state.guard
        measures = guard.measures(state)
        tiers = {"reduced": guard.settings.reduced, "paused": guard.settings.paused}
        limits: dict[tuple[str, ...], float] = {}
        for name, tier in tiers.items():
            limits["win_rate", name] = guard.win_rate_limit(tier)
            limits["losing_streak", name] = tier.losing_streak
            limits["drawdown", name] = tier.drawdown_ratio
        self._exporter.guard(
            state.status.value,
            size_multiplier=guard.size_multiplier(state.status),
            values={
                "win_rate": measures.win_rate,
                "losing_streak": measures.losing_streak,
                "drawdown": measures.drawdown_ratio,
            },
            limits=limits,
        )

    def _report_account(self) -> None:
        now = equity(self._state, self._prices)
        peak = max(self._state.peak_equity, now)
        self._exporter.account(equity=now, peak=peak, daily_pnl_ratio=now / _positive(self._state.day_start_equity) - 1)
        for symbol, book in self._state.books.items():
            position = None
            if book.account.side != 0:
                notional = broker.exposure(book.account, self._prices.get(symbol, book.mark))
                position = Position(symbol, "long" if notional > 0 else "short", abs(notional) / _positive(now))
            self._exporter.position(symbol, position)

    def _report_model(self, *, load_failed: bool = False) -> None:
        watch = self._parts.watch
        if watch.deployment is None or watch.champion is None:
            self._exporter.model(None, load_failed=load_failed)
            return
        model = watch.deployment.model
        self._exporter.model(
            ModelInUse(
                version=model.version,
                standing=watch.champion.standing,
                trained_at=model.trained_at,
                data_end=model.data_end,
                loaded_at=self._parts.clock(),
            ),
            load_failed=load_failed,
        )


def _positive(equity: float) -> float:
    """Return an equity to divide by: of an account that has lost everything any share is huge, and alarms."""
    return max(equity, 1e-9)
