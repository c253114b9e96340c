"""`nightdesk trades`: the bot's ledger, and that of its shadow."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk.cli.main import app
from nightdesk.cli.tables import show
from nightdesk_core.journal.journal import Journal
from typer.testing import CliRunner

from tests.core.conftest import closed_trade


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "nightdesk.yml").write_text("home: .\nbot: {name: btc}\n")
    journal = Journal(tmp_path / "state" / "btc.sqlite")
    with journal.transaction():
        journal.record_trade(replace(closed_trade(1), profit=7.0))
        journal.record_trade(replace(closed_trade(2), profit=-5.0), shadow=True)
    journal.close()
    return tmp_path / "nightdesk.yml"


@pytest.mark.parametrize(("options", "profits"), [([], ["7.0"]), (["--shadow"], ["-5.0"])])
def test_the_shadow_s_trades_are_shown_where_they_are_asked_for_and_never_among_the_bot_s(
    options: list[str], profits: list[str], settings: Path
) -> None:
    done = CliRunner().invoke(app, ["--settings", str(settings), "trades", "--csv", *options])
    assert done.exit_code == 0, done.output
    assert [row["profit"] for row in csv.DictReader(done.stdout.splitlines())] == profits


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\n@x", '=HYPERLINK("http://x";"y")'])
def test_no_cell_of_csv_is_a_formula(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show([{"symbol": text, "profit": -1.5, "note": "a=b", "none": None}], as_csv=True)
    (_, row) = csv.reader(io.StringIO(capsys.readouterr().out))
    assert row[0].startswith("'")
    assert row[1:] == ["-1.5", "a=b", ""]
