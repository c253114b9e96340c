"""Histories that a bot of one's own lived: what was done to its guard, and how the guard stood after each act.

`python -m tests.guard.histories` writes `histories.json` anew. It was written by the guard before it shared one policy
with the reference bot: what it holds is not what the code says now, but what it must say.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nightdesk_core.files import stored
from nightdesk_guard import Expected, GuardProfile, GuardStatus, KillLimits, ResumeFile
from nightdesk_guard.kill_switch import KillSwitchError
from nightdesk_guard.limits import documented_limits
from nightdesk_guard.own_trade import GuardError

from tests.guard.conftest import BREAK_EVEN, DAY, NERVOUS
from tests.guard.own_bot import OwnBot, Told, own_bot

FILE = Path(__file__).with_name("histories.json")
ACTS = 110
HISTORIES = 24
Act = list[Any]
_PROMISED = Expected(
    trades=100,
    days=180,
    wins=60,
    win_rate=0.6,
    win_rate_bound=0.55,
    mean_r=0.2,
    mean_fees_r=0.01,
    mean_slippage_r=0.01,
    trades_a_day=0.5,
    sharpe_ratio=1.0,
    drawdowns={30: 0.02},
)
PROFILE = GuardProfile(documented_limits(NERVOUS, break_even_win_rate=BREAK_EVEN), _PROMISED)


def acts(seed: int, *, count: int = ACTS) -> Iterator[Act]:
    """Yield random acts: their kind, then their arguments. A third of the histories is mostly losses."""
    source = random.Random(seed)
    luck = source.choice((0.25, 0.45, 0.6))
    kinds = {
        "trade": 36,
        "shadow_trade": 14,
        "equity": 30,
        "pass": 6,
        "use_model": 3,
        "kill": 1,
        "kill_file": 1,
        "lift": 12,
        "resume": 3,
        "restart": 4,
        "lose_latch": 1,
        "nonsense": 1,
    }
    yield ["use_model", "v1"]
    yield ["equity", 1.0, 0.0, 1.0]
    for _ in range(count):
        kind = source.choices(list(kinds), list(kinds.values()))[0]
        if kind in ("trade", "shadow_trade"):
            profit = round(source.uniform(1, 25) if source.random() < luck else -source.uniform(5, 12), 2)
            yield [kind, profit, round(source.uniform(8, 12), 2), round(source.uniform(0, 0.3), 3)]
        elif kind == "equity":
            yield [
                kind,
                round(source.uniform(0.985, 1.012), 4),
                source.choices((0.0, 0.5, 1.5, 3.2), (40, 20, 20, 2))[0],
                _hours(source),
            ]
        elif kind == "pass":
            yield [kind, _hours(source)]
        elif kind == "use_model":
            yield [kind, source.choice(("v1", "v2", "v3"))]
        elif kind == "kill":
            yield [kind, source.choice(("close", "keep"))]
        else:
            yield [kind]


def _hours(source: random.Random) -> float:
    return source.choice((0.5, 1.0, 1.0, 4.0, 30.0))


class Life:
    """A bot of one's own that lives a history."""

    def __init__(self, folder: Path, *, journalled: bool) -> None:
        self.told = Told()
        self._bot = own_bot(
            folder,
            journalled=journalled,
            reporter=self.told,
            kill_limits=KillLimits(floor_drawdown=0.25, daily_loss=0.08, leverage=3.0),
        )
        self.bot: OwnBot = self._bot.__enter__()
        self._version = ""

    def close(self) -> None:
        self._bot.__exit__(None, None, None)

    def do(self, act: Act) -> str:
        """Do one act; return how the guard stands then."""
        kind, *given = act
        try:
            getattr(self, f"_{kind}")(*given)
        except (GuardError, KillSwitchError) as error:
            return f"{type(error).__name__} {self._stands()}"
        return self._stands()

    def _stands(self) -> str:
        guard = self.bot.guard
        blocked, close = guard.blocked, guard.must_close
        shadow = "shadow" if guard.trades_in_the_shadow else "-"
        return f"{guard.status} {blocked or '-'} {'close' if close else '-'} {guard.size_multiplier:g} {shadow}"

    def _trade(self, profit: float, risk: float, fees: float) -> None:
        self.bot.money += profit
        self.bot.guard.trade(profit=profit, risk=risk, fees=fees, slippage=fees / 2)

    def _shadow_trade(self, profit: float, risk: float, fees: float) -> None:
        self.bot.guard.shadow_trade(profit=profit, risk=risk, fees=fees)

    def _equity(self, drift: float, leverage: float, hours: float) -> None:
        self.bot.see(days=hours / 24, money=self.bot.money * drift, leverage=leverage)

    def _pass(self, hours: float) -> None:
        self.bot.now += hours / 24 * DAY

    def _use_model(self, version: str) -> None:
        self._version = version
        self.bot.guard.use_model(version, PROFILE)

    def _kill(self, positions: Any) -> None:
        self.bot.switch.activate("a person says so", actor="cli", positions=positions)

    def _kill_file(self) -> None:
        self.bot.switch.kill_file.write_text("a file says so")

    def _lift(self) -> None:
        self.bot.switch.resume("a person has looked", actor="cli")

    def _resume(self) -> None:
        ResumeFile(self.bot.state_dir, clock=self.bot.clock).give("a person has looked", actor="cli")

    def _restart(self) -> None:
        self.bot.restart()
        self.bot.guard.use_model(self._version, PROFILE)

    def _lose_latch(self) -> None:
        self.bot.switch.path.unlink(missing_ok=True)

    def _nonsense(self) -> None:
        self.bot.guard.trade(profit=float("nan"), risk=1.0)

    def outcome(self) -> dict[str, Any]:
        """Return what others were told, and where guard and switch ended."""
        evidence = self.bot.guard.evidence
        return {
            "audit": [[entry.event, entry.details] for entry in self.bot.audit.entries()],
            "requests": [
                [request.cause, len(request.keys), request.reason, request.newest_reason] for request in self.bot.asked
            ],
            "switch": stored.plain(self.bot.switch.state()),
            "evidence": None if evidence is None else asdict(evidence),
            "reported": {name: dict(self.told.last(name)) for name in sorted({name for name, _ in self.told.calls})},
        }


def live(folder: Path, history: list[Act], *, journalled: bool) -> tuple[list[str], dict[str, Any]]:
    """Live a history; return how the guard stood after each act, and what came of it all."""
    life = Life(folder, journalled=journalled)
    try:
        stood = [life.do(act) for act in history]
        return stood, as_stored(life.outcome())
    finally:
        life.close()


def as_stored(value: Any) -> Any:
    """Return what JSON makes of a value, its numbers rounded to what no compiler changes."""
    if isinstance(value, dict):
        return {
            "|".join(map(str, key)) if isinstance(key, tuple) else str(key): as_stored(of) for key, of in value.items()
        }
    if isinstance(value, list | tuple):
        return [as_stored(of) for of in value]
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return str(value) if isinstance(value, GuardStatus) else value


def write() -> None:
    """Write what the guard of this moment does."""
    lived = []
    for seed in range(HISTORIES):
        history = list(acts(seed))
        with tempfile.TemporaryDirectory() as folder:
            stood, outcome = live(Path(folder), history, journalled=seed % 2 == 1)
        lived.append({"acts": history, "stood": stood, "outcome": outcome})
    FILE.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in lived) + "\n]\n")


if __name__ == "__main__":
    write()
