"""Histories that the reference bot lived: random candles and signals, kills, resumes, restarts, prices that grow old.

`python -m tests.trendbot.live.histories` writes `histories.json` anew. It was written by the bot when it had an
orchestration of its own of what the guard decides: what it holds is not what the code says now, but what it must say.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.files import stored
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.requests import RetrainRequests
from nightdesk_guard import KillLimits, KillSwitch, ResumeFile
from nightdesk_guard.kill_switch import KillSwitchError
from nightdesk_trendbot.live.bot import LiveBot
from nightdesk_trendbot.market.events import Marked, MarketsOpen, Opened, Step
from nightdesk_trendbot.model.strategy import Deployment
from nightdesk_trendbot.settings import BarrierSettings, CostSettings, TrendbotSettings
from nightdesk_trendbot.signals.candles import Bar
from nightdesk_trendbot.signals.regime import Regime
from nightdesk_trendbot.signals.signal import Signal

from tests.guard.conftest import NERVOUS
from tests.guard.histories import PROFILE, as_stored
from tests.trendbot.live.parts import live_parts

FILE = Path(__file__).with_name("histories.json")
SYMBOL = "BTC/USDT:USDT"
HOUR = 3600
START = 1_500_000_400 // 86_400 * 86_400
HISTORIES = 8
STEPS = 220
Act = list[Any]
_SETTINGS = TrendbotSettings(
    symbols=(SYMBOL,),
    initial_equity=1000,
    barriers=BarrierSettings(target_ratio=0.02, stop_ratio=0.01, holding_hours=6),
    costs=CostSettings(fee_ratio=0.0005, slippage_ratio=0.0002, slippage_scaled=False),
)


def acts(seed: int, *, steps: int = STEPS) -> list[Act]:
    """Return random acts: candles with what the signal says of them, and what people and accidents do in between."""
    source = random.Random(seed)
    price, found = 100.0, list[Act]()
    luck = source.choice((0.3, 0.45, 0.6))
    side = 0
    for hour in range(steps):
        opened = price
        # A position that was entered at this open is lucky or is not.
        drift = side * (1 if source.random() < luck else -1) * source.uniform(0.004, 0.03)
        close = round(opened * (1 + drift), 2)
        high, low = round(max(opened, close) * 1.002, 2), round(min(opened, close) * 0.998, 2)
        side = source.choice((1, 1, -1, 0)) if source.random() < 0.8 else 0
        leverage = source.choices((0.5, 1.0, 2.0), (10, 10, 1))[0]
        found.append(["candle", hour, opened, high, low, close, side, round(source.uniform(0.5, 0.95), 3), leverage])
        price = close
        event = source.random()
        if event < 0.02:
            found.append(["kill", source.choice(("close", "keep"))])
        elif event < 0.025:
            found.append(["kill_file"])
        elif event < 0.11:
            found.append(["lift"])
        elif event < 0.13:
            found.append(["resume"])
        elif event < 0.19:
            found.append(["restart"])
        elif event < 0.2:
            found.append(["grow_old", source.choice((1200.0, 7200.0, 20_000.0))])
        elif event < 0.24:
            found.append(["mark", round(close * source.uniform(0.985, 1.015), 2)])
        elif event < 0.26:
            found.append(["use_model", source.choice(("v1", "v2", "v3"))])
        elif event < 0.265:
            found.append(["lose_latch"])
    return found


class _Strategy:
    """Says what the history says, and permits what the real one permits."""

    def __init__(self, real: Any, life: Life) -> None:
        self._real = real
        self._life = life

    def signals(self, *_: Any, **__: Any) -> list[Signal]:
        return [self._life.signal]

    def permission(self, *given: Any, **more: Any) -> Any:
        return self._real.permission(*given, **more)

    def threshold(self, *given: Any, **more: Any) -> Any:
        return self._real.threshold(*given, **more)


class _Watch:
    """A champion that changes when the history says so."""

    def __init__(self) -> None:
        self.version = "v1"
        self.champion: Champion | None = None

    @property
    def deployment(self) -> Deployment:
        model = SimpleNamespace(
            version=self.version,
            trained_at=0.0,
            data_end=0.0,
            backtest={},
            threshold=lambda share: share,
            rank=lambda probability: probability,
        )
        return Deployment(cast("Any", model), profile=PROFILE)

    has_verdict = False

    def look(self, **_: float) -> bool:
        return False

    def adopt(self, _settings: Any) -> None:
        """Judge by other settings: it does not judge."""


class Life:
    """The reference bot, on a clock that moves only when it is told to, as one process after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = float(START)
        self.signal = Signal(Regime.RANGING, 0, 0, None, 0.0, 0.0)
        self.watch = _Watch()
        self.switch = KillSwitch(folder, clock=self.clock)
        self.bot = self._started()

    def clock(self) -> WallTime:
        return WallTime(self.now)

    def _started(self) -> LiveBot:
        self.parts = live_parts(
            self.folder,
            _SETTINGS,
            guard=NERVOUS,
            kill_limits=KillLimits(floor_drawdown=0.15, daily_loss=0.06, leverage=1.8, stale_seconds=3 * 3600.0),
            watch=cast("Any", self.watch),
            clock=self.clock,
            told_by=self.clock,
        )
        bot = LiveBot(self.parts)
        bot._strategy = cast("Any", _Strategy(bot._strategy, self))
        bot.handle(MarketsOpen(frozenset({SYMBOL})))
        bot._report_standing()
        return bot

    def close(self) -> None:
        self.parts.journal.close()

    def do(self, act: Act) -> str:
        """Do one act; return how bot, guard and switch stand then."""
        kind, *given = act
        refused = ""
        try:
            getattr(self, f"_{kind}")(*given)
        except KillSwitchError:
            refused = "refused "
        self.bot._enforce_kill_switch()
        asyncio.run(self.bot._guard.tell_in_background())
        state = self.bot._state
        side = state.books[SYMBOL].account.side
        switch = self.switch.state()
        killed = f"killed {switch.positions}" if switch.active else "-"
        shadow = "-" if state.shadow is None else f"shadow {state.shadow.books[SYMBOL].account.side}"
        return f"{refused}{state.guard.status} {killed} {side} {shadow} {state.equity:.6g}"

    def _candle(
        self,
        hour: int,
        opened: float,
        high: float,
        low: float,
        close: float,
        side: int,
        probability: float,
        leverage: float,
    ) -> None:
        time = START + hour * HOUR
        self.now = max(self.now, time + 1.0)
        self.bot.handle(Opened(SYMBOL, MarketTime(time), opened))
        self.now = max(self.now, time + HOUR + 2.0)
        self.signal = Signal(Regime.TRENDING_UP, side, side, probability if side else None, leverage, 0.0)
        self.bot.handle(Step(MarketTime(time), {SYMBOL: Bar(time, opened, high, low, close, 1.0, 0.0)}))

    def _mark(self, price: float) -> None:
        self.bot.handle(Marked(SYMBOL, price))

    def _grow_old(self, seconds: float) -> None:
        self.now += seconds

    def _use_model(self, version: str) -> None:
        self.watch.version = version

    def _kill(self, positions: Any) -> None:
        self.switch.activate("a person says so", actor="cli", positions=positions)

    def _kill_file(self) -> None:
        self.switch.kill_file.write_text("a file says so")

    def _lift(self) -> None:
        self.switch.resume("a person has looked", actor="cli")

    def _resume(self) -> None:
        ResumeFile(self.folder, clock=self.clock).give("a person has looked", actor="cli")

    def _restart(self) -> None:
        self.close()
        self.bot = self._started()

    def _lose_latch(self) -> None:
        with suppress(FileNotFoundError):
            self.switch.path.unlink()

    def outcome(self) -> dict[str, Any]:
        """Return what the journal holds, and what others were told."""
        journal, audit = self.parts.journal, AuditLog(self.folder / "audit.jsonl")
        requests = RetrainRequests(self.folder, audit).pending()
        return {
            "trades": [asdict(trade) for trade in journal.trades()],
            "shadow_trades": [asdict(trade) for trade in journal.trades(shadow=True)],
            "equity": [equity for _, equity in journal.equity()],
            "transitions": [stored.plain(moved) for moved in journal.transitions()],
            "audit": [[entry.event, entry.details] for entry in audit.entries()],
            "requests": [
                [request.cause, len(request.keys), request.reason, request.newest_reason] for request in requests
            ],
            "switch": stored.plain(self.switch.state()),
        }


def live(folder: Path, history: list[Act]) -> tuple[list[str], dict[str, Any]]:
    """Live a history; return how the bot stood after each act, and what came of it all."""
    life = Life(folder)
    try:
        stood = [life.do(act) for act in history]
        return stood, as_stored(life.outcome())
    finally:
        life.close()


def brief(outcome: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome in which a trade is what a reader compares: many of them are a short line each."""
    lines = {
        kind: [
            f"{trade['side']} {trade['entry_time']} {trade['entry_price']} {trade['exit_time']} {trade['exit_price']}"
            f" {trade['exit_reason']} {trade['quantity']} {trade['profit']} {trade['guard']} {trade['model_version']}"
            for trade in outcome[kind]
        ]
        for kind in ("trades", "shadow_trades")
    }
    return {**outcome, **lines}


def write() -> None:
    """Write what the bot of this moment does."""
    lived = []
    for seed in range(HISTORIES):
        with tempfile.TemporaryDirectory() as folder:
            stood, outcome = live(Path(folder), acts(seed))
        lived.append({"seed": seed, "stood": stood, "outcome": brief(outcome)})
    FILE.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in lived) + "\n]\n")


if __name__ == "__main__":
    write()
