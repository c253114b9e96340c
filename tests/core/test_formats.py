"""What lies on disk reads and writes as in the release that wrote `formats/`, to the byte."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from nightdesk_core.audit import AuditLog
from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.journal.journal import GuardTransition, Journal
from nightdesk_core.models.bundle import Manifest
from nightdesk_core.models.champion import Champion, Rollback, Standing
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import RetrainRequests

from tests.core.conftest import closed_trade, publish

FORMATS = Path(__file__).parent / "formats"
NOW = 1_571_302_800.0
TABLES = ("equity", "outbox", "shadow_trades", "state", "trades", "transitions")
VERSIONS = ("v20191017T090000Z-6c60f68f", "v20191017T090003Z-edc524b6", "v20191017T090006Z-2774fe7e")


def written(folder: Path) -> dict[str, bytes]:
    """Return what a short life leaves on disk: three models, requests, an audit log, a journal."""
    ticks = itertools.count(int(NOW))

    def clock() -> WallTime:
        return WallTime(next(ticks) + 0.25)

    registry = ModelRegistry(folder / "models", clock=clock)
    before = None
    models: tuple[tuple[str, Standing], ...] = (("one", "provisional"), ("two", "probation"), ("three", "champion"))
    for content, standing in models:
        version = publish(registry, content)
        registry.promote(version, standing=standing, instead_of=before)
        before = version
    manifest = (registry.folder / version / "manifest.json").read_bytes()
    first_pointer = (registry.folder / "champion.json").read_bytes()
    registry.roll_back(version, 'its live results fell below "the promise" … by half')
    audit = AuditLog(folder / "audit.jsonl", clock=clock)
    requests = RetrainRequests(folder, audit, clock=clock)
    requests.add("guard", "win rate 20 %, größer", "bot", at=5)
    requests.add("guard", "again", "bot", at=1e-7)
    requests.add("manual", "a person asked", "me", at=1.5e17)
    return {
        "manifest.json": manifest,
        "champion.json": first_pointer,
        "champion-rolled-back.json": (registry.folder / "champion.json").read_bytes(),
        "audit.jsonl": audit.path.read_bytes(),
        "retrain_requests.json": requests.path.read_bytes(),
        "journal.json": journal_as_json(folder / "btc.sqlite"),
    }


def journal_as_json(path: Path) -> bytes:
    """Return the tables of a journal with one of each kind of row."""
    with closing(Journal(path)) as journal, journal.transaction():
        journal.record_trade(closed_trade(1))
        journal.record_trade(replace(closed_trade(2, profit=-0.1), risk=4.5, guard="reduced"), shadow=True)
        journal.record_equity(MarketTime(3600), 10_000.5)
        journal.record_transition(GuardTransition(MarketTime(3600), "normal", "paused", "drawdown 12% ≥ 10%"))
        journal.post("audit", {"event": "größer", "details": {"share": 1e-7, "none": None}})
        journal.save("engine", {"cash": 10_000.0, "books": {"BTC": [1, 2.5, True]}})
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name")
        schema = [sql for name, sql in found if name in TABLES]
        rows = {table: list(connection.execute(f"SELECT * FROM {table}")) for table in TABLES}
    return (json.dumps({"schema": schema, "rows": rows}, indent=1) + "\n").encode()


@pytest.mark.parametrize("name", sorted(path.name for path in FORMATS.iterdir()))
def test_what_is_written_is_what_was_written_before(name: str, tmp_path: Path) -> None:
    assert written(tmp_path)[name] == (FORMATS / name).read_bytes()


def test_a_pointer_of_before_is_read(tmp_path: Path) -> None:
    (tmp_path / "champion.json").write_bytes((FORMATS / "champion-rolled-back.json").read_bytes())
    one, two, three = VERSIONS
    assert ModelRegistry(tmp_path).champion() == Champion(
        two,
        "probation",
        WallTime(NOW + 9.25),
        one,
        ((one, "provisional"),),
        Rollback(WallTime(NOW + 10.25), three, 'its live results fell below "the promise" … by half'),
    )


def test_a_manifest_of_before_is_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes((FORMATS / "manifest.json").read_bytes())
    manifest = Manifest.read(tmp_path)
    assert (manifest.trained_at, manifest.train_end, manifest.data_fingerprint) == (
        WallTime(NOW + 7.25),
        MarketTime(10.0),
        "f" * 64,
    )
    assert list(manifest.files) == ["model.txt"]


def test_requests_and_an_audit_log_of_before_are_read(tmp_path: Path) -> None:
    for name in ("retrain_requests.json", "audit.jsonl"):
        (tmp_path / name).write_bytes((FORMATS / name).read_bytes())
    audit = AuditLog(tmp_path / "audit.jsonl")
    assert audit.verify().length == 3
    guard, manual = RetrainRequests(tmp_path, audit).pending()
    assert (guard.cause, guard.reason, guard.newest_reason, guard.count) == (
        "guard",
        "win rate 20 %, größer",
        "again",
        2,
    )
    assert (manual.cause, manual.actor) == ("manual", "me")


def test_a_journal_of_before_is_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "btc.sqlite")) as connection:
        written = json.loads((FORMATS / "journal.json").read_bytes())
        for sql in written["schema"]:
            connection.execute(sql)
        for table, rows in written["rows"].items():
            for row in rows:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("PRAGMA user_version=3")
        connection.commit()
    with closing(Journal(tmp_path / "btc.sqlite")) as journal:
        assert journal.trades() == [closed_trade(1)]
        assert journal.trades(shadow=True) == [replace(closed_trade(2, profit=-0.1), risk=4.5, guard="reduced")]
        assert journal.transitions() == [GuardTransition(MarketTime(3600), "normal", "paused", "drawdown 12% ≥ 10%")]
        (posted,) = journal.outbox()
        assert (posted.kind, posted.content) == ("audit", {"event": "größer", "details": {"share": 1e-7, "none": None}})
        assert journal.load("engine") == {"cash": 10_000.0, "books": {"BTC": [1, 2.5, True]}}
