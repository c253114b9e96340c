"""`nightdesk init`: a folder that runs as it is written, and is never written over."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightdesk.bots import known_bots
from nightdesk.check.exporter import check_exporter
from nightdesk.check.result import SetupError
from nightdesk.cli.main import app
from nightdesk.settings import load
from nightdesk.stack.own_bots import NoOwnBotError, for_servers, own_bots
from nightdesk.start import Start, write_start
from nightdesk_core.errors import NightdeskError
from nightdesk_exporter import BotExporter
from typer.testing import CliRunner

from tests.desk.answering import answering, hanging_up, no_http, saying
from tests.desk.conftest import Load
from tests.e2e.conftest import free_ports


@contextmanager
def begun(folder: Path, *arguments: str) -> Iterator[int]:
    """Write a folder by the command, run its bot until it answers, and end it; yield its port."""
    (port,) = free_ports(1)
    done = CliRunner().invoke(app, ["init", str(folder), "--port", str(port), *arguments])
    assert done.exit_code == 0, done.exception
    log = folder / "log"
    with log.open("wb") as file:
        bot = subprocess.Popen([sys.executable, "bot.py"], cwd=folder, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            assert time.monotonic() < deadline, log.read_text()
            assert bot.poll() is None, log.read_text()
            time.sleep(0.1)
        yield port
    finally:
        os.kill(bot.pid, signal.SIGKILL)
        bot.wait()


def nightdesk(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nightdesk", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_written_runs_is_found_by_check_hears_a_kill_and_tells_of_it(tmp_path: Path) -> None:
    (hook_port,) = free_ports(1)
    (tmp_path / "hook").write_text(f"http://127.0.0.1:{hook_port}/api/webhooks/1/s3cret")
    alert = ["--alert", f"discord_webhook_url_file={tmp_path / 'hook'}"]
    folder = tmp_path / "desk"
    symbols = ["--symbol", "BTC/USDT", "--symbol", "ETH/USDT", "--timeframe", "1m"]
    with answering(hook_port, saying({}, status=204)), begun(folder, "--bot", "mine", *symbols, *alert) as port:
        for name in ("nightdesk.yml", "bot.py"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        checked = nightdesk(folder, "check", "--offline")
        assert f"the running bot: mine at http://127.0.0.1:{port}" in checked.stdout, checked
        assert "it follows BTC/USDT 1m, ETH/USDT 1m; its guard lives and hears a kill" in checked.stdout
        assert "the exchange" not in checked.stdout
        assert "the strategy" not in checked.stdout
        scraped = yaml.safe_load((folder / "prometheus/scrape/nightdesk.yml").read_text())["scrape_configs"][0]
        assert scraped["static_configs"] == [{"targets": [f"127.0.0.1:{port}"], "labels": {"bot": "mine"}}]
        drilled = nightdesk(folder, "drill")
        assert (drilled.returncode, "delivered" in drilled.stdout) == (0, True), drilled
        killed = nightdesk(folder, "kill", "--reason", "a test")
        assert (killed.returncode, "active" in killed.stdout) == (0, True), killed


def test_nothing_is_overwritten_and_where_one_file_is_there_none_is_written(tmp_path: Path) -> None:
    for name, other in (("nightdesk.yml", "bot.py"), ("bot.py", "nightdesk.yml")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).symlink_to(tmp_path / "nowhere")
        done = CliRunner().invoke(app, ["init", str(folder)])
        assert "is there already, and nothing is overwritten" in str(done.exception)
        assert not (folder / other).exists()
        assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeframe", "x"], "x"),
        (["--bot", " "], "a bot has a name"),
        (["--symbol", " "], "at least one symbol"),
        (["--alert", "discord=1"], "discord"),
        (["--alert", "discord_webhook_url=https://host/s3cret"], "discord_webhook_url"),
        (["--alert", "nonsense"], "must read key.key=value"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "desk"), *arguments])
    assert isinstance(done.exception, NightdeskError), done.exception
    assert said in str(done.exception)
    assert "s3cret" not in str(done.exception)
    assert not (tmp_path / "desk").exists()


@given(name=st.text(min_size=1, max_size=40), symbol=st.text(min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_bot_is_called_the_files_say_it_or_nothing_is_written(
    name: str, symbol: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("start")
    try:
        write_start(Start(bot=name, symbols=(symbol,), timeframe="1h", port=8700), folder)
    except NightdeskError:
        assert list(folder.iterdir()) == []
        return
    found = load(folder / "nightdesk.yml")
    assert found.bot.name == name
    assert found.stack.bots == {name: "127.0.0.1:8700"}
    compile((folder / "bot.py").read_text(), "bot.py", "exec")


def test_at_a_terminal_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightdesk.cli.init._somebody_is_there", lambda: True)
    answers = "discord\nhttps://host/s3cret\ngrid\nBTC/USDT ETH/USDT\n4h\n"
    done = CliRunner().invoke(app, ["init", str(tmp_path / "desk")], input=answers)
    assert done.exit_code == 0, done.exception
    assert "s3cret" not in done.stdout
    document = yaml.safe_load((tmp_path / "desk/nightdesk.yml").read_text())
    assert document["operations"]["alerts"] == {"discord_webhook_url": "https://host/s3cret"}
    assert document["bot"]["name"] == "grid"
    assert "['BTC/USDT', 'ETH/USDT'], '4h'" in (tmp_path / "desk/bot.py").read_text()


def test_a_running_bot_that_is_another_or_is_not_well_is_said(settings_with: Load) -> None:
    found = settings_with("bot.name=mine")
    status: dict[str, Any] = {
        "bot": {"name": "mine", "health": "healthy", "issues": [], "candles": []},
        "trading": {"kill_switch": None},
    }
    assert "does not run at" in check_exporter(found, known_bots())
    with answering(found.port("bot"), saying(status)):
        assert "it follows no candles; no guard reports to it" in check_exporter(found, known_bots())
    with (
        answering(found.port("bot"), saying(status | {"bot": status["bot"] | {"name": "theirs\x1b"}})),
        pytest.raises(SetupError, match="the bot 'theirs\ufffd' answers"),
    ):
        check_exporter(found, known_bots())
    ill = {**status["bot"], "health": "unhealthy", "issues": [{"cause": "the loop stands"}]}
    with (
        answering(found.port("bot"), saying(status | {"bot": ill})),
        pytest.raises(SetupError, match="is unhealthy: the loop stands"),
    ):
        check_exporter(found, known_bots())
    for talk in (hanging_up, no_http, saying([])):
        with answering(found.port("bot"), talk):
            assert "does not run at" in check_exporter(found, known_bots())


def test_the_servers_are_for_the_bots_of_the_settings_and_of_this_machine(settings_with: Load) -> None:
    with pytest.raises(NoOwnBotError, match="there is no bot to look after"):
        own_bots(settings_with(), known_bots())
    named = settings_with("bot.name=mine")
    assert own_bots(named, known_bots()) == {"mine": named.address("bot")}
    (port,) = free_ports(1)
    with BotExporter('odd "name": é', symbols=[("BTC/USDT", "1h")], port=port):
        both = own_bots(named, known_bots())
        assert both == {"mine": named.address("bot"), 'odd "name": é': f"127.0.0.1:{port}"}
        served = settings_with("bot.name=mine", *for_servers(both))
        assert served.stack.bots == both
        assert served.scale.speed == 1.0
        assert own_bots(settings_with('stack.bots={"odd \\"name\\": é": "10.0.0.1:1"}'), known_bots()) == {
            'odd "name": é': "10.0.0.1:1"
        }
