"""Health check and alerts agree: one bot is simulated minute by minute, and what it exports goes to the real rules.

What the health check says at each minute is held against what promtool's rule engine makes of the very samples that a
scrape of that minute had.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightdesk.stack.tools import Tools
from nightdesk_alerts.catalogue.declaration import AlertRule
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Verdict

from tests.exporter.health_cases import CASES
from tests.exporter.health_cases.case import AlertStory
from tests.exporter.story import LIMITS, START, Bot, Minute, Story, after, without

RULES = Path(__file__).resolve().parents[2] / "prometheus" / "rules"
BTC = "BTC/USDT:USDT"
MINUTE = 60.0


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


def lacks_everything(bot: Bot, minute: Minute) -> None:
    if minute == 0:
        bot.exporter = BotExporter(
            "btc", symbols=[], model=None, decisions=False, port=0, clock=lambda: bot.now, limits=LIMITS, strict=True
        )
        bot.exporter.trading_expected(expected=True)
    bot.healthy(without=("candle", "decision", "status"))


def waits_as_announced(bot: Bot, minute: Minute) -> None:
    if minute % 5 == 0:
        bot.healthy(without=("contact", "trade"))
        bot.exporter.trade(BTC, profit=1.0)
        bot.exporter.announce_wait(bot.now + 300.0)


@dataclass(frozen=True)
class Tale:
    """A story, its length in minutes, and the alert that comes of it."""

    story: Story
    minutes: int = 45
    alert: AlertRule | None = None


TALES: dict[str, Tale] = {
    "a healthy bot": Tale(lambda bot, _: bot.healthy()),
    **{case.name: Tale(case.story.plot, case.story.minutes, case.issue.alert) for case in CASES if case.story},
    "never a model": Tale(never_a_model),
    "never an equity": Tale(without("equity", from_minute=0)),
    "never told whether trading is expected": Tale(never_told, minutes=75),
    "a market that opens after days in which another was open": Tale(opens_again),
    "a bot without a model, candles or decisions": Tale(lacks_everything, minutes=135),
    "a bot that waits for its candles as it announces": Tale(waits_as_announced),
    "a closed market": Tale(
        after(lambda exporter: exporter.trading_expected(expected=False), minute=5, instead="candle")
    ),
}
ALERT_STORIES: dict[tuple[str, str], AlertStory] = {
    (case.issue.alert.name, case.issue.alert.severity): case.story for case in CASES if case.issue.alert and case.story
}
IGNORED = {"TradebotLimitMissing", "TradebotNameMismatch"}


@pytest.mark.parametrize("name", TALES)
def test_health_and_alerts_agree_minute_by_minute(name: str, tools: Tools, tmp_path: Path) -> None:
    tale = TALES[name]
    held, series = live(tale.story, tale.minutes)
    fired = evaluate(series, tale.minutes, tools, tmp_path)
    if tale.alert is not None:
        pair = (tale.alert.name, tale.alert.severity)
        assert pair in set().union(*held)
        assert pair in set().union(*fired)
    for minute in range(tale.minutes):
        for alert, severity in fired[minute] - held[minute]:
            if (alert, "critical") in held[minute]:
                continue  # the warning's rule holds, too, and Alertmanager mutes it
            # Only where it looks back on what was so: it held within its window.
            assert (alert, severity) in ALERT_STORIES, f"{alert} fires at minute {minute}, and no case is about it"
            back = ALERT_STORIES[alert, severity].looks_back
            recent = set().union(*held[max(0, minute - back) : minute + 1])
            assert back, f"{alert} fires at minute {minute}, and the health check says nothing"
            assert (alert, severity) in recent
        for alert, severity in held[minute] - fired[minute]:
            wait = ALERT_STORIES[alert, severity].waits
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
        now: set[tuple[str, str]] = {
            (issue.alert.name, issue.alert.severity) for issue in health.issues if issue.alert is not None
        }
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


@cache
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
    path.write_text(json.dumps(document))  # which is YAML, and is written a hundred times as fast
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
