"""The demo's scenarios: their settings hold, and their acts begin when the market's time has come."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from nightdesk.cli.main import main
from nightdesk.settings import Settings, load
from nightdesk.stack.scenarios import SCENARIOS, Act, Play, Scenario, ScenarioError, find_scenario
from nightdesk_sandbox.faults import parse_fault
from nightdesk_sandbox.server import serve_exchange

from tests.desk.conftest import CHECKOUT, Load

DAYS = 40


def scenario_settings(scenario: Scenario) -> Settings:
    """Return the settings of the demo as the scenario has them."""
    return load(CHECKOUT / "nightdesk.yml", list(scenario.settings))


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_scenario_s_settings_are_valid_and_each_makes_a_difference(scenario: Scenario) -> None:
    scenario_settings(scenario)
    for assignment in scenario.settings:
        others = [other for other in scenario.settings if other != assignment]
        assert load(CHECKOUT / "nightdesk.yml", others) != scenario_settings(scenario), assignment


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_scenario_s_acts_are_in_order_within_the_replay_and_their_faults_exist(scenario: Scenario) -> None:
    days = [act.day for act in scenario.acts]
    assert days == sorted(days)
    assert days[-1] < scenario_settings(scenario).sandbox.replay_days
    for act in scenario.acts:
        for name in act.faults:
            fault = parse_fault(json.dumps({"name": name, "seconds": act.days}).encode())
            assert fault.seconds > 0


@pytest.mark.parametrize("name", ["crash", "decay"])
def test_what_is_said_of_the_market_is_what_its_settings_do(name: str) -> None:
    scenario = find_scenario(name)
    spell = scenario_settings(scenario).sandbox.false_breakouts
    assert spell.share > 0
    days = [act.day for act in scenario.acts]
    assert days == [0, spell.from_day, *([] if spell.days is None else [spell.from_day + spell.days])]
    assert "no real" in scenario.about


def test_an_unknown_scenario_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["nightdesk", "run", "--scenario", "moon"])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 2
    assert capsys.readouterr().err == "nightdesk: there is no scenario 'moon'; there are crash, outage, decay\n"


def test_a_scenario_needs_the_sandbox(settings_with: Load) -> None:
    with pytest.raises(ScenarioError, match="the scenario crash needs the sandbox's exchange"):
        Play(find_scenario("crash"), settings_with("sandbox.enabled=false"), lambda _said: None)


PLOT = Scenario(
    "plot",
    "a plot",
    ("sandbox.candles_per_second=100",),
    (Act(0, "it begins"), Act(1, "it fails", faults=("error500", "silence"), days=1000), Act(2, "it goes on")),
)


async def test_each_act_begins_once_when_the_market_s_time_has_come_with_its_faults(
    settings_with: Load, tmp_path: Path
) -> None:
    candles = write_flat_candles(tmp_path / "candles.csv")
    settings = settings_with(*PLOT.settings, f"sandbox.candles={candles}", f"sandbox.replay_days={DAYS - 5}")
    said: list[str] = []
    play = Play(PLOT, settings, said.append)
    assert said == ["scenario plot: a plot", "scenario plot sets sandbox.candles_per_second=100"]
    await asyncio.to_thread(play.look)
    assert len(said) == 2, "an exchange that is not there yet begins nothing"
    port = settings.port("exchange")
    async with (
        serve_exchange(settings.sandbox, home=settings.home, host="127.0.0.1", port=port) as handle,
        aiohttp.ClientSession() as http,
    ):
        replay = handle.exchange.replay
        await asyncio.to_thread(play.look)
        assert said[2:] == ["market day 0: it begins"]
        handle.exchange.run()
        for _ in range(500):
            day = (replay.now() - (replay.end - (DAYS - 5) * 86_400)) / 86_400
            await asyncio.to_thread(play.look)
            assert "market day 1: it fails" in said or day < 1
            assert "market day 2: it goes on" in said or day < 2
            if len(said) == 5:
                break
            await asyncio.sleep(0.01)
        assert said[3:] == ["market day 1: it fails", "market day 2: it goes on"]
        left = handle.exchange.faults.remaining_seconds()
        assert set(left) == {"error500", "silence"}
        assert all(100 < seconds <= 240 for seconds in left.values()), "a thousand days are 240 s at 100 hours a second"
        async with http.get(f"{handle.url}/v5/market/time") as answer:
            assert answer.status == 500
    await asyncio.to_thread(play.look)
    assert len(said) == 5


def write_flat_candles(path: Path) -> Path:
    """Write hourly candles in which nothing happens."""
    times = 1_500_000_000 // 3600 * 3600 + 3600 * np.arange(DAYS * 24)
    path.write_text("time,open,high,low,close,volume\n" + "".join(f"{time},10,11,9,10,1\n" for time in times))
    return path
