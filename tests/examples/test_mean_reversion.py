"""The example of a strategy of one's own: short, as the guide shows it, and through the whole of a model's life."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from nightdesk import home as home_folder
from nightdesk import settings as settings_module
from nightdesk.cli.main import app
from nightdesk_core.models.pipeline import DataError
from nightdesk_guard import profile
from typer.testing import CliRunner

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "mean_reversion.py"
FIRST_HOUR, DAY = 1_500_000_400 // 86_400 * 86_400, 86_400

Run = Callable[..., str]


def candles(days: int) -> pd.DataFrame:
    """Return hours of a price that is drawn back to 1,000."""
    source = np.random.default_rng(3)
    away = np.zeros(days * 24)
    for hour in range(1, len(away)):
        away[hour] = 0.97 * away[hour - 1] + source.normal(0, 0.006)
    time = FIRST_HOUR + 3600 * np.arange(len(away))
    close = 1000 * np.exp(away)
    opened = np.concatenate([[1000.0], close[:-1]])
    prices = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    return pd.DataFrame({"time": time, **prices, "volume": source.uniform(10, 20, len(away))})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    document = {
        "home": ".",
        "retrain": {"pipeline": "mean_reversion:MeanReversion"},
        "strategy": {"candles": str(tmp_path / "candles.csv"), "symbol": "BTC/USDT"},
        "stack": {"ports": {"pushgateway": 1}},
    }
    (tmp_path / "nightdesk.yml").write_text(yaml.safe_dump(document))
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def nightdesk(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["--settings", str(home / "nightdesk.yml"), *arguments])
        assert done.exit_code == code, f"{done.output}{done.exception!r}"
        return str(done.stdout)

    return nightdesk


def test_it_has_under_120_lines_and_the_guide_shows_it() -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 120
    assert f"```python\n{text}```" in (CHECKOUT / "docs" / "own-strategy.md").read_text()


def test_it_lives_through_a_model_s_whole_life(home: Path, run: Run) -> None:
    history = candles(1000)
    history[: 700 * 24].to_csv(home / "candles.csv", index=False)
    assert run("retrain", "--dry-run").startswith("dry_run: ")
    assert run("models", "list") == ""
    assert run("retrain", "--bootstrap").startswith("promoted: ")
    registry = home_folder.registry(settings_module.load(home / "nightdesk.yml"))
    first = registry.champion()
    assert first is not None
    assert first.standing == "provisional"
    folder = registry.bundle(first.version)
    known = profile.read(folder)
    assert known is not None
    assert known.limits.source == "calibrated"

    history.to_csv(home / "candles.csv", index=False)
    said = run("retrain")
    verdict = said.split(":")[0]
    assert verdict in ("promoted", "kept")
    assert "sharpe_difference" in said
    assert len(run("models", "list").splitlines()) == 2
    for version in registry.versions():
        assert run("audit", "replay", version).endswith("as it was recorded, to the last digit\n")
    assert "intact" in run("audit", "verify")
    assert run("models", "verify").count("ok ") == 2
    assert "calibrated" in run("guard", "calibrate")
    now = registry.champion()
    assert now is not None
    if verdict == "promoted":
        assert now.standing == "probation"
        assert "a breach takes back a model that wins a third less in " in said
        assert run("models", "rollback", "--reason", "a test").startswith(f"{first.version} is the champion again")
    assert run("audit", "champion").startswith(first.version)


def test_no_label_and_no_input_looks_ahead(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    strategy = importlib.import_module("mean_reversion").MeanReversion(str(home / "candles.csv"), "BTC/USDT")
    history = candles(500)
    until = FIRST_HOUR + 300 * DAY
    fitted = []
    for known in (history, history[: 300 * 24]):
        known.to_csv(home / "candles.csv", index=False)
        window = strategy.collect(days=1000, progress=lambda *_: None)
        fitted.append(strategy.fit(window, until=until, progress=lambda *_: None))
    assert fitted[0].files == fitted[1].files
    assert fitted[0].last_label_end <= until


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(close=0.0), r"candles\.csv: row 2, column close is not above 0"),
        (lambda table: table.iloc[[0, 2, 1, 3]], r"candles\.csv: row 4, column time is 1 h before that of row 3"),
        (lambda table: table.drop(columns="time"), r"candles\.csv: has no column time"),
    ],
)
def test_bad_candles_are_refused_by_name_and_row(
    change: Callable[[pd.DataFrame], pd.DataFrame], said: str, home: Path
) -> None:
    import importlib

    change(candles(20)).to_csv(home / "candles.csv", index=False)
    strategy = importlib.import_module("mean_reversion").MeanReversion(str(home / "candles.csv"), "BTC/USDT")
    with pytest.raises(DataError, match=said):
        strategy.collect(days=1000, progress=lambda *_: None)
