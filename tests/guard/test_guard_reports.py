"""Whom the guard of any bot tells what: the exporter, the audit log, and the retrain job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from nightdesk_core import audit
from nightdesk_core.files.durable import locked
from nightdesk_exporter import BotExporter
from nightdesk_guard import Evidence, Expected, GuardProfile, Reporter
from nightdesk_guard.calibration import calibrate
from nightdesk_guard.limits import documented_limits
from prometheus_client.exposition import generate_latest

from tests.guard.conftest import BREAK_EVEN, NERVOUS, NORMAL, PAUSED, REDUCED
from tests.guard.own_bot import OwnBot, Told, own_bot
from tests.guard.simulations import hold_out, trade

HOLD_OUT = hold_out(win_rate=0.45, trades=80, days=180, seed=3)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def expected() -> Expected:
    found = Expected.of(HOLD_OUT)
    assert found is not None
    return found


@pytest.fixture
def bot(tmp_path: Path, told: Told) -> Iterator[OwnBot]:
    with own_bot(tmp_path, reporter=told) as bot:
        bot.see()
        yield bot


@pytest.fixture
def promised(tmp_path: Path, told: Told, expected: Expected) -> Iterator[OwnBot]:
    """A bot whose model has promised something."""
    profile = GuardProfile(documented_limits(NERVOUS, break_even_win_rate=BREAK_EVEN), expected)
    with own_bot(tmp_path, reporter=told, model_version="v1", profile=profile) as bot:
        bot.see()
        yield bot


def test_a_real_exporter_shows_guard_kill_switch_and_shadow(tmp_path: Path) -> None:
    exporter = BotExporter("mine", symbols=[("BTC/USDT", "1h")], strict=True)
    reporter: Reporter = exporter
    with own_bot(tmp_path, reporter=reporter) as bot:
        bot.see()
        bot.pause()
        for profit in (20.0, -10.0):
            bot.guard.shadow_trade(profit=profit, risk=10.0)
            bot.see()
        bot.switch.activate("a test", actor="ann")
        assert bot.guard.blocked == "blocked_kill_switch"
        exporter.signal("BTC/USDT", bot.guard.blocked)
    lines = generate_latest(exporter.registry).decode().splitlines()
    for line in (
        'tradebot_guard_state{tradebot_guard_state="paused"} 1.0',
        'tradebot_guard_transitions_total{to="paused"} 1.0',
        "tradebot_guard_size_multiplier 0.0",
        'tradebot_guard_value{rule="losing_streak"} 5.0',
        'tradebot_guard_limit{rule="losing_streak",tier="paused"} 5.0',
        "tradebot_kill_switch_active 1.0",
        "tradebot_kill_switch_activations_total 1.0",
        "tradebot_shadow_trades_closed_total 2.0",
        "tradebot_shadow_win_ratio 0.5",
        'tradebot_signals_total{outcome="blocked_kill_switch",symbol="BTC/USDT"} 1.0',
    ):
        assert line in lines, line
    assert any(line.startswith("tradebot_shadow_drawdown_ratio 0.009") for line in lines)
    assert any(line.startswith("tradebot_kill_switch_self_test_timestamp_seconds 1.7") for line in lines)
    assert not any(line.startswith("tradebot_instrumentation_errors_total{") for line in lines)


def test_a_move_is_reported_with_its_reason_and_again_after_a_restart(bot: OwnBot, told: Told) -> None:
    bot.lose(3)
    bot.see()
    given = dict(told.last("guard"))
    assert given["state"] == "reduced"
    assert given["reason"] == "losing streak of 3 reaches 3"
    assert given["values"]["losing_streak"] == 3
    bot.see()
    told.calls.clear()
    bot.restart()
    assert told.last("guard") == given
    assert told.last("kill_switch") == {"active": False, "reason": "", "activations": 0}


def test_the_shadow_is_shown_while_there_is_one(bot: OwnBot, told: Told) -> None:
    nothing = {"trades_closed": 0, "win_ratio": None, "drawdown_ratio": None}
    assert told.last("shadow") == nothing
    bot.lose(3)
    bot.see()
    bot.guard.shadow_trade(profit=20.0, risk=10.0)
    bot.see(days=1)
    assert told.last("shadow") == {"trades_closed": 1, "win_ratio": 1.0, "drawdown_ratio": 0.0}
    bot.see()
    assert told.last("shadow")["trades_closed"] == 0, "each is told once"
    bot.guard.shadow_trade(profit=20.0, risk=10.0)
    assert bot.see(days=1) is NORMAL
    assert told.last("shadow") == {**nothing, "trades_closed": 1}


def test_each_move_is_audited_and_one_to_the_worse_asks_for_a_retrain(bot: OwnBot) -> None:
    bot.lose(3)
    bot.see()
    for _ in range(2):
        bot.guard.shadow_trade(profit=20.0, risk=10.0)
    assert bot.see(days=3) is NORMAL
    assert bot.events == ["guard_transition", "retrain_requested", "guard_transition"]
    (request,) = bot.asked
    assert (request.cause, request.actor) == ("guard", "bot")
    assert request.reason == "the guard went from normal to reduced: losing streak of 3 reaches 3"
    bot.restart()
    bot.see()
    assert len(bot.events) == 3


def test_a_kill_of_its_own_is_audited_and_one_from_the_command_line_is_left_to_that(bot: OwnBot) -> None:
    bot.switch.activate("by hand", actor="ann")
    bot.see()
    bot.switch.resume("it is over", actor="ann")
    bot.see(leverage=9.0)
    bot.see()
    (entry,) = bot.audit.entries()
    assert entry.event == "kill_switch_activated"
    assert entry.details["reason"] == "leverage 9.00 is above 2.50"
    assert entry.details["activations"] == 2


def test_what_cannot_be_told_now_is_told_in_order_a_minute_later_and_holds_nobody_up(
    bot: OwnBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_LOCK_SECONDS", 0.02)
    tries = Counter[str]()
    append = audit.AuditLog.append

    def counted(log: audit.AuditLog, event: str, details: Mapping[str, Any], *, actor: str) -> audit.AuditHead:
        tries[event] += 1
        return append(log, event, details, actor=actor)

    monkeypatch.setattr(audit.AuditLog, "append", counted)
    bot.lose(3)
    with locked(bot.audit.path.with_name("audit.jsonl.lock"), timeout_seconds=0):
        assert bot.see() is REDUCED
        bot.lose(2)
        assert bot.see() is PAUSED
    assert tries == {"guard_transition": 1}
    assert len(bot.remembered.owed) == 4
    bot.restart()
    bot.now += 60
    bot.see()
    moves = [entry.details["after"] for entry in bot.audit.entries() if entry.event == "guard_transition"]
    assert moves == ["reduced", "paused"]
    assert not bot.remembered.owed


def test_a_model_that_falls_short_of_its_promise_is_audited_and_asks_for_a_retrain_once(
    promised: OwnBot, told: Told
) -> None:
    while promised.guard.blocked is None:
        promised.lose()
        promised.see()
    for _ in range(30):
        promised.guard.shadow_trade(profit=-1.0, risk=10.0)
        promised.see()
    promised.restart()
    promised.see()
    assert promised.events.count("expectation_breached") == 1
    breach = next(entry for entry in promised.audit.entries() if entry.event == "expectation_breached")
    (asked,) = [request for request in promised.asked if request.cause == "expectation"]
    signals = breach.details["signals"]
    assert asked.reason.startswith(f"v1 wins less than its hold-out promised: 0 of {signals} signals, e-value 2")
    given = told.last("delivered")
    assert given["breached"]
    assert given["evalue"] >= 20
    assert given["signals"] == 33, "the two of five that were entered in REDUCED are no signals once more"
    assert given["trades"] == 5, "the shadow's are none"
    assert set(given["gaps"]) == {"fees", "slippage", "missed", "signal"}


def test_trades_are_weighed_as_the_reference_bot_s_are(promised: OwnBot, expected: Expected) -> None:
    history = [(2.0, "normal"), (-1.0, "normal"), (2.0, "reduced"), (-1.0, "shadow")]
    wanted = Evidence("v1")
    promised.pause()
    wanted = wanted.after(expected, [trade(r=-1.0, fees_r=0, slippage_r=0)] * 5, shadow=False, size_multiplier=0.5)
    for r, how in history:
        money: dict[str, Any] = {"profit": r * 10, "risk": 10.0, "fees": 0.5, "slippage": 0.2}
        if how == "shadow":
            promised.guard.shadow_trade(**money)
        else:
            promised.guard.trade(**money, entered=REDUCED if how == "reduced" else NORMAL)
        promised.see()
        wanted = wanted.after(expected, [trade(r=r, guard=how)], shadow=how == "shadow", size_multiplier=0.5)
    found = promised.guard.evidence
    assert found is not None
    assert asdict(found) == pytest.approx(asdict(wanted))


def test_another_model_is_weighed_for_itself_and_a_trade_of_the_one_before_for_neither(
    promised: OwnBot, expected: Expected
) -> None:
    promised.lose()
    promised.see()
    promised.guard.use_model("v2", GuardProfile(documented_limits(NERVOUS, break_even_win_rate=BREAK_EVEN), expected))
    assert promised.guard.evidence is None
    promised.guard.trade(profit=20.0, risk=10.0, model_version="v1")
    promised.guard.trade(profit=20.0, risk=10.0)
    promised.see()
    found = promised.guard.evidence
    assert found is not None
    assert (found.model_version, found.signals, found.wins) == ("v2", 1, 1)
    promised.guard.use_model("v1")
    before = promised.guard.evidence
    assert before is not None
    assert before.signals == 1


def test_a_bot_without_a_profile_has_no_promise_to_be_held_against(bot: OwnBot, told: Told) -> None:
    bot.lose()
    bot.see()
    assert bot.guard.evidence is None
    assert told.count("delivered") == 0


def test_a_profile_s_calibrated_limits_hold(tmp_path: Path, told: Told) -> None:
    profile = calibrate(HOLD_OUT, NERVOUS, documented=documented_limits(NERVOUS, break_even_win_rate=BREAK_EVEN))
    assert profile.calibrated is not None
    with own_bot(tmp_path, reporter=told, model_version="v1", profile=profile) as bot:
        bot.see()
        assert told.last("guard")["limits"] == profile.calibrated.by_rule_and_tier()
        bot.lose()
        bot.see()
        assert told.last("guard")["values"]["win_cusum"] > 0


def test_without_a_reporter_moves_and_kills_are_logged(tmp_path: Path) -> None:
    said: list[str] = []
    number = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        with own_bot(tmp_path) as bot:
            bot.see()
            bot.pause()
            bot.see(leverage=9.0)
    finally:
        logger.remove(number)
    assert said == [
        "guard: normal to paused: win rate 0.0% of 5 trades is below 16.3%; losing streak of 5 reaches 5",
        "the kill switch is active: leverage 9.00 is above 2.50",
    ]
