"""The guard takes money and paths in the kinds that the exporter takes, and refuses the same."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nightdesk_core.audit import AuditLog
from nightdesk_core.journal.journal import Journal, journal_path
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_exporter import BotExporter
from nightdesk_guard import Guard, GuardError, KillSwitch

KINDS = [1000, 1000.0, Decimal(1000), Fraction(2000, 2), np.float32(1000), np.int64(1000), np.array(1000.0)]


@pytest.mark.parametrize("equity", KINDS, ids=lambda number: type(number).__name__)
def test_a_number_of_any_kind_is_taken_by_guard_and_exporter_alike(equity: Any, tmp_path: Path) -> None:
    exporter = BotExporter("mine", symbols=[], model=None, port=0, strict=True)
    with Guard(tmp_path, break_even_win_rate=Decimal("0.5"), reporter=exporter) as guard:
        exporter.equity(equity)
        guard.equity(equity, leverage=equity / 1000)
        guard.trade(profit=-equity, risk=equity, fees=equity, slippage=equity)
        guard.shadow_trade(profit=equity, risk=equity)
        assert guard.blocked is None
    assert exporter.snapshot.equity == 1000.0


@pytest.mark.parametrize(
    "equity", ["1000", True, None, 1j, np.array([1000.0]), Decimal("NaN"), Decimal("sNaN"), 10**400]
)
def test_what_is_no_number_is_refused_by_guard_and_exporter_alike(equity: Any, tmp_path: Path) -> None:
    exporter = BotExporter("mine", symbols=[], model=None, port=0)
    exporter.equity(equity)
    assert exporter.snapshot.equity is None
    with Guard(tmp_path, break_even_win_rate=0.5) as guard:
        with pytest.raises(GuardError, match="pass a finite number"):
            guard.equity(equity, leverage=0)
        with pytest.raises(GuardError, match="pass a finite number"):
            guard.trade(profit=equity, risk=1)


def test_paths_may_be_text(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    with Guard(folder, break_even_win_rate=0.5) as guard:
        guard.equity(1.0, leverage=0)
    KillSwitch(folder).activate("by hand", actor="ann")
    assert KillSwitch(Path(folder)).state().active
    path = journal_path(folder, "mine")
    Journal(str(path)).close()
    assert path.exists()
    AuditLog(f"{folder}/other.jsonl").append("a test", {}, actor="ann")
    assert Path(folder, "other.jsonl").exists()
    assert ModelRegistry(folder).folder == Path(folder)
