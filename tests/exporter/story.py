"""A bot that lives minute by minute as a story tells it."""

from __future__ import annotations

from collections.abc import Callable

from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter, Limits

BTC = "BTC/USDT:USDT"
START = 3600.0
"""The rule engine's time begins at 0; the bot is started an hour later, so that nothing lies before it."""
LIMITS = Limits(no_trade_seconds=1800.0, model_age_seconds=3600.0)
"""Short ones, so that what takes days takes minutes."""

Minute = int
Story = Callable[["Bot", Minute], None]


class Bot:
    """A bot whose minutes a story changes. `healthy` is a minute in which everything happens."""

    def __init__(self) -> None:
        self.now = START
        self.exporter = BotExporter(
            "btc", symbols=[(BTC, "5m")], port=0, clock=lambda: self.now, limits=LIMITS, strict=True
        )
        self.exporter.snapshot.status_limit_seconds = 600.0
        self.exporter.kill_switch(active=False)
        self.exporter.guard("normal")
        self.exporter.trading_expected(expected=True)
        self.exporter.model("v1", trained_at=START)

    def healthy(self, *, without: tuple[str, ...] = ()) -> None:
        """Let everything happen in a minute, but for some things."""
        exporter = self.exporter
        happens: dict[str, Callable[[], None]] = {
            "heartbeat": exporter.heartbeat,
            "contact": lambda: exporter.contact("ws"),
            "candle": lambda: exporter.candle(BTC, "5m", close_time=self.now),
            "decision": lambda: exporter.decision(BTC),
            "equity": lambda: exporter.equity(100.0, peak=100.0, daily_pnl_ratio=0.0),
            "trade": lambda: exporter.trade(BTC, profit=1.0),
            "status": lambda: setattr(exporter.snapshot, "status_written_at", WallTime(self.now)),
            "clock": lambda: exporter.clock_offset(0.1),
            "position": lambda: exporter.position(BTC, None),
        }
        for name, happen in happens.items():
            if name not in without:
                happen()


def without(*what: str, from_minute: int) -> Story:
    """Return a story in which some things no longer happen."""
    return lambda bot, minute: bot.healthy(without=what if minute >= from_minute else ())


def after(change: Callable[[BotExporter], object], *, minute: int = 20, until: int = 1000, instead: str = "") -> Story:
    """Return a story in which something is so in each minute from one on."""

    def story(bot: Bot, now: Minute) -> None:
        there = minute <= now < until
        bot.healthy(without=(instead,) if there else ())
        if there:
            change(bot.exporter)

    return story
