"""`nightdesk retrain --explain` and `nightdesk audit explain`, and options that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk.cli.main import app
from typer.testing import CliRunner

FAKE = ("--set", "retrain.pipeline=tests.retrain.conftest:FakePipeline")


def test_the_command_line_explains_a_run_and_an_older_verdict(tmp_path: Path) -> None:
    path = tmp_path / "nightdesk.yml"
    path.write_text("home: .\nstack: {ports: {pushgateway: 1}}\n")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["--settings", str(path), *FAKE, *arguments])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    said = run("retrain", "--bootstrap", "--explain")
    version = said.split(": ")[1]
    explained = run("audit", "explain", version)
    assert explained.startswith("entry 1, ")
    assert said.endswith(explained.split("\n", 1)[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retrain", "--symbol", "ETH/USDT"), "--symbol ETH/USDT is none of trendbot.symbols: BTC/USDT:USDT"),
        (("retrain", "--symbol", "BTC/USDT:USDT", "--bootstrap"), "--symbol only tries"),
        ((*FAKE, "retrain", "--symbol", "BTC/USDT:USDT"), "--symbol is for the reference strategy"),
        (("retrain", "--cluster", "10.0.0.5"), "--cluster 10.0.0.5 is no address: write it as tcp://host:port"),
        (("retrain", "--request", "--reason", "why", "--explain"), "use it without the other options"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_done(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "nightdesk.yml"
    path.write_text("home: .\n")
    done = CliRunner().invoke(app, ["--settings", str(path), *arguments])
    assert done.exit_code == 2
    words = " ".join(f"{done.output} {done.exception}".replace("│", " ").split())
    assert said in words
    assert list(tmp_path.iterdir()) == [path]
