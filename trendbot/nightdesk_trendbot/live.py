"""The live loop: candles in, decisions out, everything journalled before it is shown."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from loguru import logger
from nightdesk_core.bundle import BundleError
from nightdesk_core.clock import TimeScale, WallClock, iso, system_clock
from nightdesk_core.journal import Journal
from nightdesk_core.pipeline import DataError
from nightdesk_core.registry import RegistryError
from nightdesk_exporter import BotExporter, ModelInUse, Position
from nightdesk_guard import GuardState, KillSwitch, PerformanceGuard

from nightdesk_trendbot import broker
from nightdesk_trendbot.candles import TIMEFRAME_SECONDS, Bar, Candles
from nightdesk_trendbot.champion import ChampionWatch
from nightdesk_trendbot.decisions import DecisionLog, DecisionRecord
from nightdesk_trendbot.engine import CandleResult, Engine, EngineState, new_state
from nightdesk_trendbot.exchange import open_exchange, persistently
from nightdesk_trendbot.feed import Closed, Event, Feed, Marked, MarketOpen, Opened
from nightdesk_trendbot.indicators import WINDOW
from nightdesk_trendbot.market import MARKET_KEY, market_of, refuse_another_market
from nightdesk_trendbot.model import MetaModel
from nightdesk_trendbot.settings import TrendbotSettings
from nightdesk_trendbot.signals import Outcome, Permission, Signal
from nightdesk_trendbot.strategy import Strategy

STATE_KEY = "engine"
_HISTORY_BARS = WINDOW + 60
"""Bars kept for the indicators; the surplus makes up for hours that the exchange itself lacks."""
_HOUSEKEEPING_SECONDS = 0.5
_STREAM_SILENCE_SECONDS = 90.0
_DAY_SECONDS = 86_400


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
    """Trades one symbol on paper. Killed at any moment, it goes on where its journal ends."""

    def __init__(self, parts: LiveParts) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._exporter = parts.exporter
        self._interval = TIMEFRAME_SECONDS[parts.settings.timeframe]
        self._engine = Engine(parts.settings, interval_seconds=self._interval, guard=parts.guard)
        self._strategy = Strategy(parts.settings)
        self._history: deque[Bar] = deque(maxlen=_HISTORY_BARS)
        refuse_another_market(parts.journal, parts.settings)
        stored = parts.journal.load(STATE_KEY)
        self._fresh = stored is None
        self._state = new_state(parts.settings.initial_equity) if stored is None else EngineState.from_json(stored)

    async def run(self) -> None:
        """Trade until cancelled. Raises `DataError` where the exchange cannot be reached at the start."""
        self._look_for_model()
        self._report_standing()
        async with open_exchange(self._settings.exchange, self._exporter) as exchange:
            symbol, timeframe = self._settings.symbol, self._settings.timeframe
            housekeeping = asyncio.create_task(self._keep_house())
            try:
                await persistently(lambda: exchange.load(symbol), "loading the markets")
                now = int(await persistently(exchange.now, "asking for the time"))
                start = now // self._interval * self._interval if self._fresh else self._state.last_close
                if self._fresh:
                    self._begin_at(start)
                elif now < self._state.last_close - _DAY_SECONDS:
                    raise DataError(
                        f"the exchange's time, {iso(now)}, lies before the journal's last candle,"
                        f" {iso(self._state.last_close)}: this is another market's journal, or another replay's;"
                        " set the state folder aside, or run `nightdesk run --fresh`"
                    )
                bars = await persistently(
                    lambda: exchange.bars(
                        symbol,
                        timeframe,
                        start=start - _HISTORY_BARS * self._interval,
                        stop=start,
                        interval_seconds=self._interval,
                    ),
                    "fetching the history",
                )
                self._history.extend(bars)
                logger.info("{} bars of history; following {} from {}", len(bars), symbol, iso(start))
                feed = Feed(
                    exchange,
                    self._exporter,
                    symbol=symbol,
                    timeframe=timeframe,
                    interval_seconds=self._interval,
                    after=start - self._interval,
                    # A stream that says nothing is asked after well before anybody is alarmed: markets close, too.
                    silence_seconds=min(_STREAM_SILENCE_SECONDS, self._parts.contact_limit_seconds / 3),
                    longest_wait_seconds=self._parts.scale.limit(30.0),
                )
                self._exporter.trading_expected(expected=True)
                self._exporter.expect_candles(
                    symbol, timeframe, interval_seconds=self._parts.scale.interval(self._interval)
                )
                async for event in feed.events():
                    self.handle(event)
                    if housekeeping.done():
                        housekeeping.result()
            finally:
                housekeeping.cancel()

    def handle(self, event: Event) -> None:
        """Act on one event of the feed."""
        match event:
            case Opened(time, price):
                self._on_open(time, price)
            case Closed(bar):
                self._on_close(bar)
            case Marked(price):
                self._report_account(price)
            case MarketOpen(is_open):
                self._on_market(is_open=is_open)

    def _begin_at(self, start: int) -> None:
        self._state = EngineState(
            self._state.account,
            self._state.guard,
            self._state.peak_equity,
            self._state.day_start_equity,
            last_open=start - self._interval,
            last_close=start,
        )
        with self._parts.journal.transaction():
            self._parts.journal.save(STATE_KEY, self._state.to_json())
            self._parts.journal.save(MARKET_KEY, market_of(self._settings))

    def _on_open(self, time: int, price: float) -> None:
        before = self._state
        self._state = self._engine.at_open(before, time=time, price=price, killed=self._killed())
        if self._state is not before:
            with self._parts.journal.transaction():
                self._parts.journal.save(STATE_KEY, self._state.to_json())
        if self._state.account.side != 0 and before.account.side == 0:
            account = self._state.account
            logger.info(
                "entered {} {:.6f} {} at {:.2f}",
                "long" if account.side > 0 else "short",
                account.quantity,
                self._settings.symbol,
                account.entry_price,
            )
        self._report_account(price)

    def _on_close(self, bar: Bar) -> None:
        self._look_for_model()
        self._on_open(bar.time, bar.open)
        self._history.append(bar)
        candles = Candles.from_bars(list(self._history), interval_seconds=self._interval)
        deployment = self._parts.watch.deployment
        model = None if deployment is None else deployment.model
        signal = self._strategy.signals(candles, model, first=len(candles) - 1)[0]
        result = self._engine.at_close(
            self._state,
            bar,
            signal=signal,
            permission=self._permission,
            model_version="" if model is None else model.version,
        )
        self._log_decision(bar, signal, result, model)
        self._commit(result)
        self._exporter.candle(
            self._settings.symbol,
            self._settings.timeframe,
            close_time=result.state.last_close,
        )
        self._exporter.decision(self._settings.symbol, outcome=result.decision.outcome, regime=signal.regime)
        self._report(result)
        self._report_account(bar.close)

    def _log_decision(self, bar: Bar, signal: Signal, result: CandleResult, model: MetaModel | None) -> None:
        permission = result.permission
        self._parts.decisions.append(
            DecisionRecord(
                time=result.state.last_close,
                symbol=self._settings.symbol,
                close=bar.close,
                regime=signal.regime.value,
                breakout=signal.breakout,
                probability=signal.probability,
                threshold=permission.threshold if model is not None else None,
                guard=permission.guard.value,
                size_share=permission.size_share,
                leverage=result.decision.leverage,
                outcome=result.decision.outcome.value,
                model_version="" if model is None else model.version,
            )
        )

    def _commit(self, result: CandleResult) -> None:
        """Make the candle's outcome durable: the guard's state in one transaction with the trade that moved it."""
        journal = self._parts.journal
        with journal.transaction():
            if result.trade is not None:
                journal.record_trade(result.trade)
            if result.transition is not None:
                journal.record_transition(result.transition)
            journal.record_equity(result.state.last_close, result.equity)
            journal.save(STATE_KEY, result.state.to_json())
        self._state = result.state

    def _permission(self, guard_state: GuardState) -> Permission:
        return self._strategy.permission(
            self._parts.watch.deployment, self._parts.guard, guard_state, killed=self._killed()
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
            switch = self._parts.kill_switch.state()
            self._exporter.kill_switch(active=switch.active, reason=switch.reason)
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)

    def _on_market(self, *, is_open: bool) -> None:
        if self._exporter.snapshot.trading_expected != is_open:
            logger.info("the exchange says that the market is {}", "open" if is_open else "closed: nothing to trade")
        self._exporter.trading_expected(expected=is_open)

    def _report_standing(self) -> None:
        """Show what the journal and the latch say before the first candle comes."""
        if self._parts.watch.deployment is None:
            logger.error("there is no model: the bot does not trade; run `nightdesk retrain --bootstrap`")
            self._report_model()
        switch = self._parts.kill_switch.state()
        if switch.active:
            logger.critical("the kill switch is active: {}", switch.reason)
        self._exporter.kill_switch(active=switch.active, reason=switch.reason)
        self._report_guard()
        price = self._state.account.entry_price
        self._report_account(price)

    def _report(self, result: CandleResult) -> None:
        if result.transition is not None:
            moved = result.transition
            logger.warning("guard: {} to {}: {}", moved.before, moved.after, moved.reason)
            self._exporter.guard_moved(moved.after, reason=moved.reason)
        if result.trade is not None:
            trade = result.trade
            logger.info(
                "closed {} at {:.2f} by {}: {:+.2f} {}",
                trade.side,
                trade.exit_price,
                trade.exit_reason,
                trade.profit,
                self._settings.currency,
            )
            self._exporter.trade(trade)
        if result.decision.outcome in (Outcome.BLOCKED_NO_MODEL, Outcome.BLOCKED_KILL_SWITCH, Outcome.BLOCKED_GUARD):
            logger.debug("entry blocked: {}", result.decision.outcome)
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

    def _report_account(self, price: float) -> None:
        account = self._state.account
        equity = float(broker.equity(account, price))
        peak = max(self._state.peak_equity, equity)
        self._exporter.account(equity=equity, peak=peak, daily_pnl_ratio=equity / self._state.day_start_equity - 1)
        position = None
        if account.side != 0:
            side = "long" if account.side > 0 else "short"
            position = Position(self._settings.symbol, side, account.quantity * price / equity)
        self._exporter.position(self._settings.symbol, position)

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
