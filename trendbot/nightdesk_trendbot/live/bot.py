"""The live loop: candles in, decisions out, everything journalled before it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import ccxt
from loguru import logger
from nightdesk_core.clock import MarketTime, iso
from nightdesk_core.files import stored
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.pipeline import DataError
from nightdesk_core.models.registry import RegistryError
from nightdesk_core.units import DAY_SECONDS
from nightdesk_guard import Expected, GuardMemory, GuardParts, GuardRuntime, LiveMeasures, ModelInUse, Resume

from nightdesk_trendbot.engine.engine import Engine, StepResult
from nightdesk_trendbot.engine.state import EngineState, new_state
from nightdesk_trendbot.live.disk import Disk
from nightdesk_trendbot.live.guard_store import JournalGuardStore
from nightdesk_trendbot.live.history import History
from nightdesk_trendbot.live.housekeeping import Housekeeping
from nightdesk_trendbot.live.journal_keys import MARKET_KEY, STATE_KEY
from nightdesk_trendbot.live.model_report import ModelReport
from nightdesk_trendbot.live.operator import OperatorCloses
from nightdesk_trendbot.live.parts import LiveParts, Tuning
from nightdesk_trendbot.live.probation import Owed
from nightdesk_trendbot.live.record import log_decisions, record
from nightdesk_trendbot.live.report import Report
from nightdesk_trendbot.live.safety import Safety, kill_switch_defects
from nightdesk_trendbot.live.set_aside import SetAsideCandles
from nightdesk_trendbot.live.stored_market import market_of, restored
from nightdesk_trendbot.market.clock import MarketClock
from nightdesk_trendbot.market.events import Event, Marked, MarketsOpen, Opened, SetAside, Step
from nightdesk_trendbot.market.exchange import Exchange, open_exchange, persistently
from nightdesk_trendbot.market.feed import Feed
from nightdesk_trendbot.market.prices import Prices
from nightdesk_trendbot.model.strategy import Strategy
from nightdesk_trendbot.signals.candles import TIMEFRAME_SECONDS
from nightdesk_trendbot.signals.signal import Outcome, Permission, Signal

_STREAM_SILENCE_SECONDS = 90.0
_TRIAL_PATIENCE_SECONDS = 5.0
"""So long a start waits for a model that was never tried; open positions cannot wait longer."""
_SETTLED_SECONDS = 10.0
"""So long after its end REST has a candle for certain."""


class LiveBot:
    """Trades some symbols on paper. Killed at any moment, it goes on where its journal ends."""

    def __init__(self, parts: LiveParts) -> None:
        """Raises `JournalError` where the journal belongs to another market, or its state cannot be read."""
        found = restored(parts.journal, parts.tuning.trendbot)
        self._orphans = () if found is None else tuple(set(found.books) - set(parts.tuning.trendbot.symbols))
        """Symbols that the settings no longer name and that hold a position."""
        tuning = self._with_orphans(parts.tuning)
        settings = tuning.trendbot
        self._parts = parts
        self._exporter = parts.exporter
        self._interval = TIMEFRAME_SECONDS[settings.timeframe]
        self._history = History(settings, interval_seconds=self._interval)
        self._clock = MarketClock(parts.scale, parts.clock)
        self._prices = Prices(settings.symbols, parts.clock)
        self._report = Report(parts.exporter, settings, parts.scale, self._prices)
        self._set_aside = SetAsideCandles(parts.journal, self._report, settings.symbols)
        self._operator = OperatorCloses(parts, self._report)
        self._model_report = ModelReport(parts.exporter, parts.scale, parts.journal)
        self._safety = Safety(parts.tuning.performance.settings.entries, parts.scale, self._prices, self._clock)
        self._fresh = found is None
        self._state = new_state(settings.symbols, settings.initial_equity) if found is None else found
        self._guard = GuardRuntime(
            GuardParts(
                state_dir=parts.state_dir,
                performance=parts.tuning.performance,
                kill_limits=parts.tuning.kill_limits,
                store=JournalGuardStore(parts.journal, self._state.guard),
                account=lambda: self._safety.account(self._state),
                requests=parts.requests,
                audit=parts.audit,
                reporter=parts.exporter,
                measures=self._measures,
                handlers=parts.rotation.handlers,
                retry_seconds=0.0,
                tests_itself=False,
                clock=parts.clock,
            )
        )
        self._disk = Disk(parts.journal, parts.decisions, self._guard, parts.exporter)
        self._housekeeping = Housekeeping(
            self._guard,
            self._disk,
            self._safety,
            self._clock,
            exporter=parts.exporter,
            scale=parts.scale,
            enforce_kill_switch=self._enforce_kill_switch,
            take_tried_model=self._take_tried_model,
            kill_switch_defects=lambda: kill_switch_defects(self._engine, self._strategy, self._settings),
        )
        self._take_over(tuning)

    def _take_over(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._settings = tuning.trendbot
        self._engine = Engine(tuning.trendbot, interval_seconds=self._interval, guard=tuning.performance)
        self._strategy = Strategy(tuning.trendbot)
        self._history.adopt(tuning.trendbot)
        self._parts.watch.adopt(tuning.trendbot)
        self._safety.entries = tuning.performance.settings.entries
        self._guard.adopt(tuning.performance, tuning.kill_limits)
        self._exporter.set_limits(tuning.limits)

    def adopt(self, tuning: Tuning) -> None:
        """Go on with other settings from the next candle on: such as need no other history and no other journal."""
        self._take_over(self._with_orphans(tuning))
        self._guard.report()

    def _with_orphans(self, tuning: Tuning) -> Tuning:
        """Return settings that name all symbols which the bot looks after."""
        symbols = (*tuning.trendbot.symbols, *self._orphans)
        return replace(tuning, trendbot=tuning.trendbot.model_copy(update={"symbols": symbols}))

    async def run(self) -> None:
        """Trade until cancelled.

        Raises `DataError` where the exchange cannot be reached at the start, and `LockTimeoutError` where another bot
        guards itself in this state folder.
        """
        with self._guard.present(self._exporter.name):
            await self._run()

    async def _run(self) -> None:
        self._look_for_model(patience_seconds=_TRIAL_PATIENCE_SECONDS)
        self._report_standing()
        async with open_exchange(self._settings.exchange, self._exporter) as exchange:
            housekeeping = [asyncio.create_task(task) for task in self._housekeeping.tasks()]
            try:
                start = await self._begin(exchange)
                housekeeping.append(asyncio.create_task(self._housekeeping.watch_clock(exchange)))
                feed = self._follow(exchange, start)
                async with aclosing(feed.events()) as events:
                    async for event in events:
                        self.handle(event)
                        # What is caught up on comes without a pause: heart, orders and records must not wait for it.
                        await asyncio.sleep(0)
                        for task in housekeeping:
                            if task.done():
                                task.result()
            finally:
                for task in housekeeping:
                    task.cancel()

    async def _begin(self, exchange: Exchange) -> MarketTime:
        """Load markets and history; return the close of the last candle that was decided on, or need not be."""
        symbols = self._settings.symbols
        await persistently(exchange.load_markets, "loading the markets", on=ccxt.BaseError)
        if len(exchange.unlisted(symbols)) == len(symbols) and not self._holds_something:
            # Not one symbol, and nothing to look after: the settings are wrong.
            exchange.refuse_unlisted(symbols)
        now = MarketTime((await persistently(exchange.now, "asking for the time", on=ccxt.BaseError)).whole_seconds)
        start = self._state.last_close
        if self._fresh:
            start = MarketTime(now.whole_seconds // self._interval * self._interval)
            await asyncio.sleep(self._until_settled(now - start))
            self._begin_at(start)
        elif now < self._state.last_close - DAY_SECONDS:
            raise DataError(
                f"the exchange's time, {iso(now)}, lies before the journal's last candle,"
                f" {iso(self._state.last_close)}: this is another market's journal, or another replay's;"
                " set the state folder aside, or run `nightdesk run --fresh`"
            )
        rejected = await self._history.load(exchange, stop=start, set_aside=self._set_aside.times())
        self._set_aside.of_history(rejected, fresh=self._fresh)
        logger.info("{} bars of history; following {} from {}", len(self._history), ", ".join(symbols), iso(start))
        return start

    def _follow(self, exchange: Exchange, start: MarketTime) -> Feed:
        symbols = self._settings.symbols
        unlisted = exchange.unlisted(symbols)
        self.handle(MarketsOpen(frozenset(symbols) - unlisted, unlisted))
        return Feed(
            exchange,
            self._exporter,
            symbols=symbols,
            timeframe=self._settings.timeframe,
            interval_seconds=self._interval,
            costs=self._settings.costs,
            clock=self._clock,
            after=start - self._interval,
            # A stream that says nothing is asked after well before anybody is alarmed: markets close, too.
            silence_seconds=min(_STREAM_SILENCE_SECONDS, self._tuning.limits.exchange_contact_seconds / 3),
            longest_wait_seconds=self._parts.scale.limit(30.0),
            # An exchange's REST lags a second or so behind its stream, however fast a replay of it is.
            longest_lag_seconds=4.0 if self._parts.scale.speed == 1.0 else 0.1,
            set_aside=self._set_aside.times(),
        )

    def handle(self, event: Event) -> None:
        """Act on one event of the feed."""
        match event:
            case Opened(symbol, opened, price):
                self._on_open(symbol, opened, price)
            case Step():
                self._on_step(event)
            case Marked(symbol, price):
                self._price({symbol: price})
            case MarketsOpen(symbols, unlisted):
                self._prices.markets(symbols)
                self._report.markets(symbols, interval_seconds=self._interval)
                self._report.listed(set(self._settings.symbols) - unlisted, unlisted)
            case SetAside():
                self._set_aside.note(event)

    @property
    def _holds_something(self) -> bool:
        return any(book.account.side != 0 for book in self._state.books.values())

    def _until_settled(self, age_seconds: float) -> float:
        """Return how long to wait until REST has the candle that ended `age_seconds` ago as it ended."""
        return max(0.0, _SETTLED_SECONDS - age_seconds) if self._parts.scale.speed == 1.0 else 0.0

    def _begin_at(self, start: MarketTime) -> None:
        books = {symbol: replace(book, last_open=start - self._interval) for symbol, book in self._state.books.items()}
        self._state = replace(self._state, books=books, last_close=start)
        with self._parts.journal.transaction():
            self._parts.journal.save(STATE_KEY, stored.plain(self._state))
            self._parts.journal.save(MARKET_KEY, market_of(self._settings))

    def _on_open(self, symbol: str, opened: MarketTime, price: float) -> None:
        self._prices.note({symbol: price}, age_seconds=self._clock.age(opened))
        self._enforce_kill_switch()
        before = self._state
        self._move(self._engine.at_open(before, symbol, time=opened, price=price))
        account = self._state.books[symbol].account
        if account.side != 0 and before.books[symbol].account.side == 0:
            side = "long" if account.side > 0 else "short"
            self._exporter.event(f"entered {side} {account.quantity:.6f} {symbol} at {account.entry_price:.5g}")
        self._report.account(self._state)

    def _price(self, prices: Mapping[str, float]) -> None:
        self._prices.note(prices)
        self._report.account(self._state)

    def _move(self, state: EngineState) -> None:
        """Go on from another state, once it is in the journal."""
        if state is not self._state:
            with self._parts.journal.transaction():
                self._parts.journal.save(STATE_KEY, stored.plain(state))
            self._state = state

    def _enforce_kill_switch(self) -> None:
        """Take back the orders that wait, also where the switch was activated and lifted since the last look."""
        switch, moved = self._guard.look()
        if switch.active or moved:
            self._move(self._engine.cancel_orders(self._state))
        if switch.active and switch.positions == "close":
            self._close_positions()
        for state in self._operator.take(self._state, self._engine):
            self._state = state

    def _close_positions(self) -> None:
        """Close what can be closed at a fresh price; what cannot is tried again at the next look."""
        now = self._clock.now()
        time = self._state.last_close if now is None else max(MarketTime(now.whole_seconds), self._state.last_close)
        state, trades = self._engine.close_positions(self._state, self._safety.closable(self._state), time=time)
        if state is self._state:
            return
        with self._parts.journal.transaction():
            for trade in trades:
                self._parts.journal.record_trade(trade)
            self._parts.journal.save(STATE_KEY, stored.plain(state))
        self._state = state
        self._report.trades(trades)
        self._report.account(state)

    def _on_step(self, step: Step) -> None:
        self._look_for_model()
        deployment = self._parts.watch.deployment
        model = None if deployment is None else deployment.model
        signals, begun = {}, time.perf_counter()
        for symbol, bar in step.bars.items():
            self._on_open(symbol, step.time, bar.open)
            candles = self._history.append(symbol, bar)
            signal = self._strategy.signals(candles, model, first=len(candles) - 1)[0]
            # What the settings no longer name is looked after until it is closed, and not entered anew.
            signals[symbol] = replace(signal, breakout=0, side=0) if symbol in self._orphans else signal
        before, resume, late = self._state, self._guard.last_resume(), self._late(step)
        result, owed = self._decided(before, step, signals, resume, late)
        seconds = (time.perf_counter() - begun) / len(step.bars)
        log_decisions(self._parts.decisions, step, signals, result, model)
        with self._guard.take(result.guard, owed=owed):
            record(self._parts.journal, result, before=before, keep_equity_seconds=self._parts.keep_equity_seconds)
        self._state = result.state
        if late is None and not self._disk.look():
            # It is not certain to be kept: what was to be entered is not. The rest of the step is the same.
            result, _ = self._decided(before, step, signals, resume, Outcome.BLOCKED_DISK)
            log_decisions(self._parts.decisions, step, signals, result, model)
            self._move(result.state)
        closes = {symbol: bar.close for symbol, bar in step.bars.items()}
        self._prices.note(closes, age_seconds=self._clock.age(result.state.last_close))
        self._report.step(result, signals, seconds=seconds)
        self._report.recent_trades(self._parts.journal, result.state.last_close)
        self._guard.report(shadow_trades=len(result.shadow_trades))
        self._report.account(result.state)

    def _late(self, step: Step) -> Outcome | None:
        """Return why nothing may be entered on a step, however good it is; `None` where that is no matter."""
        if not self._disk.look():
            return Outcome.BLOCKED_DISK
        return self._safety.late(step.time + self._interval, self._interval)

    def _decided(
        self,
        state: EngineState,
        step: Step,
        signals: Mapping[str, Signal],
        resume: Resume | None,
        late: Outcome | None,
    ) -> tuple[StepResult, Owed]:
        """Return what a step leads to from a state, and what is owed for it; nothing is changed yet."""
        result = self._engine.at_close(
            state,
            step.bars,
            signals=signals,
            permission=partial(self._permission, late),
            correlation=self._history.correlation,
            model=self._guard.model,
            resume=resume,
        )
        champion = self._parts.watch.champion
        if champion is None:
            return result, ()
        return self._parts.probation.judge(state, result, champion, self._tuning.performance)

    def _permission(self, late: Outcome | None, state: EngineState, signal: Signal) -> Permission:
        deployment, guard = self._parts.watch.deployment, self._tuning.performance
        return self._strategy.permission(deployment, guard, state, signal, killed=self._guard.is_killed, blocked=late)

    def _look_for_model(self, *, patience_seconds: float = 0.0) -> None:
        watch = self._parts.watch
        try:
            changed = watch.look(patience_seconds=patience_seconds)
        except (BundleError, RegistryError) as error:
            self._exporter.model_load_failed(str(error))
            return
        self._guard.model = ModelInUse() if watch.deployment is None else watch.deployment.in_use
        if changed:
            self._model_report.model(watch)

    def _take_tried_model(self) -> None:
        """Take the model whose trial has ended; others wait for the next candle."""
        if self._parts.watch.has_verdict:
            self._look_for_model()

    def _measures(self, memory: GuardMemory, expected: Expected) -> LiveMeasures:
        deployment = self._parts.watch.deployment
        share = None if deployment is None else deployment.size_share
        return self._model_report.measures(self._state.last_close, memory.model_since, expected, share)

    def _report_standing(self) -> None:
        """Show what the journal and the latch say before the first candle comes."""
        if self._parts.watch.deployment is None:
            self._exporter.no_model()
        self._report.orphans(self._orphans)
        self._enforce_kill_switch()
        self._exporter.equity_history((time.seconds, equity) for time, equity in self._parts.journal.equity())
        self._guard.report()
        self._report.account(self._state)
