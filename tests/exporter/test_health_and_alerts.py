"""Health check and alerts agree: one bot is simulated minute by minute, and what it exports goes to the real rules.

What the health check says at each minute is held against what promtool's rule engine makes of the very samples that a
scrape of that minute had.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_exporter import BotExporter, Limits
from nightdesk_exporter.alert_names import ALERTS, WITHOUT_ALERT
from nightdesk_exporter.health import Verdict

RULES = Path(__file__).resolve().parents[2] / "prometheus" / "rules"
BTC = "BTC/USDT:USDT"
MINUTE = 60.0
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
            "status": lambda: setattr(exporter.snapshot, "status_written_at", self.now),
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


def candles_with_a_position(bot: Bot, minute: Minute) -> None:
    bot.healthy(without=("candle",) if minute >= 10 else ())
    bot.exporter.position(BTC, "long", size_ratio=0.5)


def model_of_before(bot: Bot, minute: Minute) -> None:
    bot.healthy()
    if minute == 10:
        bot.exporter.model("v0", trained_at=START - 3000.0)


def never_a_model(bot: Bot, minute: Minute) -> None:
    if minute == 0:
        bot.exporter.snapshot.model_known = False
        bot.exporter.snapshot.model = None
    bot.healthy()


def never_told(bot: Bot, minute: Minute) -> None:
    if minute == 0:
        bot.exporter.snapshot.trading_expected = bot.exporter.snapshot.trading_expected_since = None
    bot.healthy(without=("trade",))


def opens_again(bot: Bot, minute: Minute) -> None:
    bot.healthy()
    if minute == 0:
        bot.exporter.expect_candles("EUR/USDT", "5m", interval_seconds=None)
    if minute == 40:
        bot.exporter.expect_candles("EUR/USDT", "5m", interval_seconds=300.0)


def trouble(name: str) -> Callable[[BotExporter], object]:
    def change(exporter: BotExporter) -> None:
        if name == "collector_failing":
            exporter._collector_failed("trading", OSError("gone"))
        else:
            exporter._alert_counted("alerts_dropped", "expired")

    return change


STORIES: dict[str, Story] = {
    "": lambda bot, _: bot.healthy(),
    "loop_stalled": without("heartbeat", from_minute=10),
    "exchange_disconnected": without("contact", "candle", from_minute=10),
    "candle_stale": without("candle", from_minute=10),
    "candle_stale, holding": candles_with_a_position,
    "no_decision": without("decision", from_minute=10),
    "no_trades": without("trade", from_minute=5),
    "snapshot_stale": without("equity", from_minute=10),
    "status_file_stale": without("status", from_minute=10),
    "clock_skewed": after(lambda exporter: exporter.clock_offset(-2.1), instead="clock"),
    "guard_paused": after(lambda exporter: exporter.guard("paused", reason="x")),
    "guard_reduced": after(lambda exporter: exporter.guard("reduced", reason="x")),
    "kill_switch_active": after(lambda exporter: exporter.kill_switch(active=True, reason="x")),
    "model_missing": after(lambda exporter: exporter.no_model()),
    "model_not_loaded": after(lambda exporter: exporter.model_load_failed("x"), until=21),
    "model_stale": model_of_before,
    "model_underperforming": after(lambda exporter: exporter.delivered(trades=9, evalue=30.0, breached=True)),
    "drawdown_high": after(lambda exporter: exporter.equity(94.9, peak=100.0, daily_pnl_ratio=0.0), instead="equity"),
    "drawdown_high, critical": after(
        lambda exporter: exporter.equity(89.9, peak=100.0, daily_pnl_ratio=0.0), instead="equity"
    ),
    "daily_loss_high": after(
        lambda exporter: exporter.equity(96.0, peak=100.0, daily_pnl_ratio=-0.051), instead="equity"
    ),
    "leverage_high": after(lambda exporter: exporter.position(BTC, "short", size_ratio=2.51), instead="position"),
    "collector_failing": after(trouble("collector_failing"), until=21),
    "alerts_dropped": after(trouble("alerts_dropped"), until=21),
    "never a model": never_a_model,
    "never an equity": without("equity", from_minute=0),
    "never told whether trading is expected": never_told,
    "a market that opens after days in which another was open": opens_again,
    "a closed market": after(lambda exporter: exporter.trading_expected(expected=False), minute=5, instead="candle"),
}
LONG = ("no_trades", "model_stale", "never told whether trading is expected")
WAITS = {
    # The rules wait until they are sure, and some look back; the health check does neither.
    "TradebotUnhealthy": 5,
    "TradebotClockSkewed": 5,
    "TradebotModelMissing": 1,
    "TradebotStatusFileStale": 1,
    "TradebotCollectorFailing": 1,
    "TradebotAlertsDropped": 1,
    "TradebotModelNotLoaded": 1,
}
LOOKS_BACK = {
    "TradebotGuardPaused": 15,
    "TradebotGuardReduced": 15,
    "TradebotKillSwitchActive": 15,
    "TradebotModelNotLoaded": 30,
    "TradebotCollectorFailing": 10,
    "TradebotAlertsDropped": 10,
}
IGNORED = {"TradebotLimitMissing", "TradebotNameMismatch"}


def test_every_condition_with_an_alert_has_a_story_and_the_others_a_reason() -> None:
    assert set(ALERTS) <= set(STORIES)
    assert all(WITHOUT_ALERT.values())
    assert not set(ALERTS) & set(WITHOUT_ALERT)


def test_every_alert_of_a_condition_has_its_rule_s_severity_summary_and_labels() -> None:
    rules = [
        rule
        for file in RULES.glob("*.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    known = {(rule["alert"], rule["labels"]["severity"]): rule["annotations"]["summary"] for rule in rules}
    for alert in ALERTS.values():
        assert known[alert.name, alert.severity] == alert.summary


@pytest.mark.parametrize("name", STORIES, ids=lambda name: name or "a healthy bot")
def test_health_and_alerts_agree_minute_by_minute(name: str, tools: Tools, tmp_path: Path) -> None:
    minutes = 75 if name in LONG else 45
    held, series = live(STORIES[name], minutes)
    fired = evaluate(series, minutes, tools, tmp_path)
    conditions = {condition for minute in held for condition in minute}
    if name in ALERTS:
        assert (ALERTS[name].name, ALERTS[name].severity) in conditions
        assert (ALERTS[name].name, ALERTS[name].severity) in {pair for minute in fired for pair in minute}
    for minute in range(minutes):
        for alert, severity in fired[minute] - held[minute]:
            if (alert, "critical") in held[minute]:
                continue  # the warning's rule holds, too, and Alertmanager mutes it
            # Only where it looks back on what was so: it held within its window.
            back = LOOKS_BACK.get(alert, 0)
            recent = set().union(*held[max(0, minute - back) : minute + 1])
            assert back, f"{alert} fires at minute {minute}, and the health check says nothing"
            assert (alert, severity) in recent
        for alert, severity in held[minute] - fired[minute]:
            wait = WAITS.get(alert, 0)
            before = held[max(0, minute - wait) : minute + 1]
            lasted = minute >= wait and all((alert, severity) in conditions for conditions in before)
            assert wait, f"the health check says {alert} ({severity}) at minute {minute}, and no alert fires"
            assert not lasted, f"{alert} ({severity}) has held for {wait} minutes at {minute}, and no alert fires"


def live(story: Story, minutes: int) -> tuple[list[set[tuple[str, str]]], dict[str, dict[int, float]]]:
    """Return what the health check says at each minute, and every series by its minutes."""
    bot = Bot()
    held: list[set[tuple[str, str]]] = []
    series: dict[str, dict[int, float]] = defaultdict(dict)
    for minute in range(minutes):
        bot.now = START + minute * MINUTE
        story(bot, minute)
        health = bot.exporter.health()
        now = {(issue.alert.name, issue.alert.severity) for issue in health.issues if issue.alert is not None}
        precise = any(severity == "critical" or name == "TradebotCandleStale" for name, severity in now)
        if health.verdict is Verdict.UNHEALTHY and not precise:
            now.add(("TradebotUnhealthy", "critical"))
        held.append(now)
        for found in bot.exporter.registry.collect():
            for sample in found.samples:
                if sample.name.startswith("tradebot_"):
                    labels = {**sample.labels, "job": "tradebot", "bot": "btc", "instance": "a"}
                    text = ",".join(f'{key}="{value}"' for key, value in labels.items())
                    series[f"{sample.name}{{{text}}}"][minute] = sample.value
        series['up{job="tradebot",bot="btc",instance="a"}'][minute] = 1.0
        series['process_start_time_seconds{job="tradebot",bot="btc",instance="a"}'][minute] = START
    return held, series


def groups() -> list[str]:
    """Return the names of all groups of rules."""
    return [
        group["name"] for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]
    ]


def evaluate(
    series: dict[str, dict[int, float]], minutes: int, tools: Tools, folder: Path
) -> list[set[tuple[str, str]]]:
    """Return which alerts fire at each minute, by promtool's rule engine: it says so where we expect otherwise."""
    offset = int(START / MINUTE)
    inputs = [
        {
            "series": name,
            "values": " ".join([f"_x{offset}", *(_value(values, minute) for minute in range(minutes))]),
        }
        for name, values in series.items()
    ]
    asked = [
        {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{offset + minute}m", "exp_samples": []}
        for minute in range(minutes)
    ]
    document: dict[str, Any] = {
        "rule_files": [str(file) for file in sorted(RULES.glob("*.yml"))],
        "evaluation_interval": "1m",
        "group_eval_order": sorted(groups(), key=lambda group: group != "tradebot.derived"),
        "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": asked}],
    }
    path = folder / "story_test.yml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [tools.promtool, "test", "rules", path], capture_output=True, text=True, timeout=60, check=False
    )
    return _fired(done.stdout + done.stderr, offset, minutes)


def _value(values: dict[int, float], minute: int) -> str:
    return repr(values[minute]) if minute in values else "stale" if minute - 1 in values else "_"


def _fired(said: str, offset: int, minutes: int) -> list[set[tuple[str, str]]]:
    fired: list[set[tuple[str, str]]] = [set() for _ in range(minutes)]
    told = set[int]()
    for time, got in re.findall(r"time: ([0-9hm]+),\n\s+exp: nil\n\s+got: (.*)", said):
        parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", time)
        assert parts is not None
        minute = 60 * int(parts[1] or 0) + int(parts[2] or 0) - offset
        assert "Watchdog" in got
        fired[minute] = {
            (name, severity)
            for name, severity in re.findall(r'alertname="(\w+)".*?severity="(\w+)"', got)
            if name.startswith("Tradebot") and name not in IGNORED
        }
        told.add(minute)
    # The watchdog always fires: a minute without it is one that was not understood.
    assert told == set(range(minutes)), said
    return fired
