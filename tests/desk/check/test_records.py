"""What `nightdesk check` says of the champion and of the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightdesk import home
from nightdesk.check.records import check_champion, check_journal
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings
from nightdesk_core.clock import MarketTime
from nightdesk_core.journal.journal import Journal, JournalError, journal_path
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_trendbot.live.journal_keys import MARKET_KEY
from nightdesk_trendbot.live.stored_market import market_of
from nightdesk_trendbot.model.meta_model import SCHEMA

from tests.core.conftest import closed_trade
from tests.desk.conftest import Load

TREND = "nightdesk_trendbot.pipeline:TrendPipeline"


def champion(settings: Settings, files: dict[str, bytes], *, strategy: str) -> str:
    registry = ModelRegistry(home.registry(settings).folder)  # nothing is tried: as somebody else has left it
    staged = registry.stage(files)
    manifest = registry.publish(
        registry.seal(
            staged,
            strategy=strategy,
            train_start=MarketTime(0.0),
            train_end=MarketTime(10.0),
            last_label_end=MarketTime(9.0),
            data_end=MarketTime(20.0),
            data_fingerprint="f" * 64,
        )
    )
    registry.promote(manifest.version, standing="provisional", instead_of=None)
    return manifest.version


def test_a_champion_of_another_strategy_is_named(settings_with: Load) -> None:
    settings = settings_with()
    version = champion(settings, {"model.txt": b"x"}, strategy="theirs:Strategy")
    with pytest.raises(SetupError) as raised:
        check_champion(settings)
    assert str(raised.value) == (
        f"{version} was made by theirs:Strategy, and retrain.pipeline names {TREND}; "
        "name that one, or give the bot another bot.models_dir"
    )


def test_a_champion_of_other_features_is_refused_as_the_bot_refuses_it(settings_with: Load) -> None:
    settings = settings_with()
    champion(settings, {SCHEMA: json.dumps({"features": ["moon"]}).encode()}, strategy=TREND)
    with pytest.raises(BundleError, match="was trained on other features than this release computes; retrain"):
        check_champion(settings)


def journal_of(settings: Settings, market: dict[str, str | bool]) -> Path:
    journal = Journal(journal_path(home.state_dir(settings), settings.bot.name))
    with journal.transaction():
        journal.save(MARKET_KEY, market)
        journal.record_trade(closed_trade())
    journal.close()
    return journal.path


def test_a_journal_of_this_market_is_counted_also_while_the_bot_has_it_open(settings_with: Load) -> None:
    settings = settings_with()
    path = journal_of(settings, market_of(settings.trendbot))
    assert check_journal(settings) == "1 trades"
    running = Journal(path)
    with running.transaction():
        running.record_trade(closed_trade(2))
    assert check_journal(settings) == "2 trades"
    running.close()


def test_a_journal_of_another_market_is_named_with_what_differs(settings_with: Load) -> None:
    settings = settings_with()
    path = journal_of(settings, {**market_of(settings.trendbot), "exchange": "binanceusdm"})
    with pytest.raises(JournalError) as raised:
        check_journal(settings)
    assert str(raised.value) == (
        f"journal {path}: is of another market (exchange 'binanceusdm', now 'bybit'); "
        "set it aside, or give the bot another bot.state_dir"
    )


def test_a_damaged_journal_is_named_by_its_own_path(settings_with: Load) -> None:
    settings = settings_with()
    path = journal_of(settings, market_of(settings.trendbot))
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(JournalError) as raised:
        check_journal(settings)
    assert str(raised.value).startswith(f"journal {path}: is damaged")
