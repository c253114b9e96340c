"""The hold-out in a bundle: read back as it was judged, and what the desk adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.models.bundle import BundleError, Manifest
from nightdesk_core.models.pipeline import Backtest
from nightdesk_retrain import job
from nightdesk_retrain.judgement.evidence import read_holdout
from nightdesk_retrain.parts import JobParts

from tests.guard.simulations import hold_out, trade
from tests.retrain.conftest import FakeModel, FakePipeline, FakeWindow, following


class Trading(FakePipeline):
    """Trades as it is told; one of its trades has no stop."""

    def backtest(self, model: FakeModel, window: FakeWindow, *, start: float, end: float) -> Backtest:
        found = hold_out(win_rate=0.45, trades=60, days=180, seed=2)
        return replace(found, start=start, end=end, trades=(*found.trades, trade(4_000, risk=None, guard="reduced")))


@pytest.fixture
def bundle(parts: JobParts) -> Path:
    parts = following(parts, Trading())
    return parts.registry.bundle(job.run(parts, trigger="manual", bootstrap=True).version)


def test_the_hold_out_is_read_back_as_it_was_judged(bundle: Path) -> None:
    manifest = Manifest.read(bundle)
    window = FakePipeline().collect(days=730, progress=lambda stage, share: None)
    judged = Trading().backtest(
        FakeModel(0, 60), window, start=manifest.train_end.seconds, end=manifest.data_end.seconds
    )
    assert read_holdout(bundle) == judged
    assert judged.trades[-1].risk is None


def test_what_the_desk_makes_of_the_hold_out_is_in_the_bundle_and_its_manifest(parts: JobParts) -> None:
    shown: list[Backtest] = []

    def annotate(holdout: Backtest) -> dict[str, bytes]:
        shown.append(holdout)
        return {"guard.json": b"{}\n"}

    parts = replace(following(parts, Trading()), annotate=annotate)
    version = job.run(parts, trigger="manual", bootstrap=True).version
    folder = parts.registry.bundle(version)
    assert (folder / "guard.json").read_bytes() == b"{}\n"
    assert "guard.json" in Manifest.read(folder).files
    assert shown == [read_holdout(folder)]


def test_a_dry_run_makes_nothing_of_its_hold_out(parts: JobParts) -> None:
    def annotate(holdout: Backtest) -> dict[str, bytes]:
        raise AssertionError("nothing is kept of a dry run")

    assert job.run(replace(parts, annotate=annotate), trigger="manual", dry_run=True).decision == "dry_run"


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("trades.csv", lambda text: text.replace(",risk,", ",wager,"), "trades.csv has no column risk: an older"),
        ("trades.csv", lambda text: text.replace(",95.0,", ",much,", 1), "trades.csv, row 8: profit is 'much'"),
        ("trades.csv", lambda text: text.replace("stop,", "stop,,", 1), "trades.csv, row 1: "),
        ("returns.csv", lambda text: text.replace("daily_return", "hourly"), "returns.csv has no column daily_return"),
        ("returns.csv", lambda text: text + "15638400\n", "returns.csv, row 181: daily_return is None"),
    ],
)
def test_a_hold_out_that_cannot_be_read_is_named_by_file_row_and_column(
    name: str, change: Callable[[str], str], reason: str, bundle: Path
) -> None:
    path = bundle / name
    path.write_text(change(path.read_text()))
    with pytest.raises(BundleError) as raised:
        read_holdout(bundle)
    assert raised.value.reason.startswith(reason)


def test_a_hold_out_that_is_not_there_says_so(bundle: Path) -> None:
    (bundle / "returns.csv").unlink()
    with pytest.raises(BundleError, match=r"returns\.csv cannot be read \(No such file or directory\)"):
        read_holdout(bundle)
