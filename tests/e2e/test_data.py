"""`nightdesk retrain` against the sandbox's exchange: the data is stored, and the bundle says what it is made of."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyarrow.parquet as pq
from nightdesk import home
from nightdesk import settings as settings_module
from nightdesk_core.models.bundle import verify
from nightdesk_sandbox.server import serve_exchange

from tests.e2e.conftest import change, nightdesk

SYMBOL = "BTC/USDT:USDT"


async def output(command: list[str]) -> str:
    """Run a command to its end, which must be a good one, and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


async def test_a_bundle_tells_of_its_data_which_stays_in_the_store(settings_file: Path) -> None:
    change(settings_file, "operations", {"alerts": {"enabled": False}})  # nobody is there to be told
    settings = settings_module.load(settings_file)
    async with serve_exchange(settings.sandbox, home=settings.home, host="127.0.0.1", port=settings.port("exchange")):
        await output(nightdesk(settings_file, "retrain", "--bootstrap"))
    registry = home.registry(settings)
    champion = registry.champion()
    assert champion is not None
    folder = registry.bundle(champion.version)
    report = json.loads((folder / "data.json").read_text())
    manifest = verify(folder)
    source = f"bybit@127.0.0.1:{settings.port('exchange')}"
    assert (report["source"], report["fingerprint"]) == (source, manifest.data_fingerprint)
    part = report["symbols"][SYMBOL]
    assert (part["first"], part["missing"], part["funding"]["rows"]) == (
        "2017-07-01T11:00:00Z",
        5,
        part["rows"] // 8 + 1,
    )
    assert [finding["kind"] for finding in part["findings"]] == ["gap", "coverage"]
    stored = settings.path(settings.trendbot.data_dir) / source.replace("@", "%40").replace(":", "%3A")
    assert pq.read_table(stored / "BTC%2FUSDT%3AUSDT-1h.parquet").num_rows == part["rows"]
    # The audit log keeps the outline; the bundle has the rest.
    (verdict,) = [entry for entry in home.audit_log(settings).entries() if entry.event == "verdict"]
    assert set(verdict.details["data"]) == {"start", "end", "rows", "fingerprint", "warnings"}
    lines = (await output(nightdesk(settings_file, "models", "show"))).splitlines()
    shown = {key: value.strip() for key, _, value in (line.partition(" ") for line in lines)}
    assert shown["data.source"] == f"{source}, 1h"
    candles = f"{part['rows']} candles from 2017-07-01T11:00:00Z to {part['last']}"
    assert shown[f"data.{SYMBOL}"] == f"{candles}, 5 missing, 0 repaired, 0 revised"
    assert shown["data.warnings"].startswith(f"{SYMBOL}: 5 of ")
