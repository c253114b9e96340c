"""A bot whose state is gone, in part or wholly, stays out of the market; one that is new begins without a question."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from nightdesk import home, life
from nightdesk.bot import journal as bot_journal
from nightdesk.bot.journal import open_journal
from nightdesk.check.records import check_journal
from nightdesk.check.result import SetupError
from nightdesk.cli.main import app
from nightdesk.settings import Settings
from nightdesk_core.clock import MarketTime, WallTime, iso
from nightdesk_core.files import durable as files
from nightdesk_core.files import stored
from nightdesk_core.journal.journal import BESIDE, journal_path
from nightdesk_core.models.champion import Champion
from nightdesk_guard import lost_state
from nightdesk_trendbot.engine.state import new_state
from nightdesk_trendbot.live import DecisionLog, log_path
from nightdesk_trendbot.live.decision_log import DecisionRecord
from nightdesk_trendbot.live.journal_keys import STATE_KEY
from typer.testing import CliRunner

from tests.campaigns import SEED, cases
from tests.desk.conftest import Load
from tests.killing import killed_at

START, HOUR = 1_559_347_200, 3600


@pytest.fixture
def settings(settings_with: Load) -> Settings:
    return settings_with()


def log_of(settings: Settings) -> DecisionLog:
    return DecisionLog(log_path(home.state_dir(settings), settings.bot.name))


def decide(settings: Settings, hour: int) -> None:
    """Write down a decision, as the bot does before it journals a candle."""
    at = MarketTime(START + hour * HOUR)
    blank: dict[str, Any] = {"probability": None, "threshold": None, "guard": "NORMAL", "size_share": 1.0}
    log_of(settings).append(
        DecisionRecord(at, "S", 1.0, "ranging", 0, leverage=0.0, outcome="none", late="", model_version="", **blank)
    )


def show(settings: Settings, hour: int) -> None:
    """Write the status file, as the bot does once a candle is journalled."""
    section = {"name": settings.bot.name, "market_time": iso(MarketTime(START + hour * HOUR))}
    home.status_file(settings).replace({"bot": section}, now=WallTime(1.0), lifetime_seconds=60)


def live(settings: Settings, *, hours: range, shows: bool = True) -> None:
    """Start the bot, have it live through some candles, and stop it."""
    journal = open_journal(settings)
    for hour in hours:
        decide(settings, hour)
        state = replace(new_state(settings.trendbot.symbols, 12_345.0), last_close=MarketTime(START + hour * HOUR))
        journal.save(STATE_KEY, stored.plain(state))
    journal.close()
    if hours and shows:
        show(settings, hours[-1])


def champion(settings: Settings) -> None:
    pointer = Champion("v1", "provisional", WallTime(1.0), None)
    files.write_json_atomic(settings.path(settings.bot.models_dir) / "champion.json", stored.plain(pointer))


def everything(settings: Settings) -> dict[str, list[Path]]:
    """What there is of a bot that has lived, by what a person calls it."""
    state, name = home.state_dir(settings), settings.bot.name
    path = journal_path(state, name)
    return {
        "journal": [path, *(path.with_name(path.name + suffix) for suffix in BESIDE)],
        "kill switch": [state / "kill_switch.json"],
        "decisions": [log_of(settings).path],
        "audit log": [state / "audit.jsonl", state / "audit.jsonl.anchor"],
        "status file": [home.status_file(settings).path],
        "champion": [settings.path(settings.bot.models_dir) / "champion.json"],
        "note in home": [settings.home / "life" / f"{name}.json"],
        "note beside the models": [settings.path(settings.bot.models_dir) / f"{name}.life.json"],
    }


def lived(settings: Settings) -> None:
    """Have a bot live, be killed by hand and go on; its champion is there."""
    champion(settings)
    live(settings, hours=range(5))
    home.kill_switch(settings).activate("a person says so", actor="ann")
    home.audit_log(settings).append("kill_switch_activated", {}, actor="ann")
    home.kill_switch(settings).resume("it is over", actor="ann")
    live(settings, hours=range(5, 9))


def remove(settings: Settings, names: tuple[str, ...]) -> None:
    for name in names:
        for path in everything(settings)[name]:
            path.unlink(missing_ok=True)


def starts(settings: Settings) -> str:
    """Start the bot and stop it; return how its loss shows, empty where there is none."""
    open_journal(settings).close()
    pending = home.lost_state(settings).pending
    assert not pending or home.kill_switch(settings).state().active
    return pending


def resume(settings_file: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["--settings", str(settings_file), "resume", "--reason", "a test", *options])


def test_a_first_start_asks_nothing_nor_does_any_that_follows(settings: Settings) -> None:
    champion(settings)
    home.audit_log(settings).append("rotated", {}, actor="retrain")
    assert check_journal(settings) == "none yet: the bot has not run"
    for _ in range(3):
        assert starts(settings) == "", "not even where no candle came"
    live(settings, hours=range(3))
    assert starts(settings) == ""
    assert check_journal(settings) == "0 trades"
    assert not home.kill_switch(settings).state().active


SIGNS = ("kill switch", "decisions", "audit log", "status file", "note in home", "note beside the models")


@pytest.mark.parametrize("left", SIGNS)
def test_without_its_journal_any_one_thing_that_is_left_keeps_it_out_of_the_market(
    left: str, settings: Settings
) -> None:
    lived(settings)
    remove(settings, tuple(name for name in everything(settings) if name != left))
    with pytest.raises(SetupError, match="the bot has lived and its state is gone"):
        check_journal(settings)
    assert starts(settings)


def test_without_anything_it_is_new(settings: Settings) -> None:
    lived(settings)
    remove(settings, tuple(everything(settings)))
    assert starts(settings) == ""


@pytest.mark.fuzz
def test_whatever_is_removed_with_the_journal_it_stays_out_and_without_the_journal_gone_it_goes_on(
    settings: Settings, tmp_path: Path
) -> None:
    lived(settings)
    shutil.copytree(settings.home, tmp_path / "kept", symlinks=True)
    names = tuple(everything(settings))
    subsets = [subset for count in range(len(names)) for subset in combinations(names, count)]
    random.Random(SEED).shuffle(subsets)
    for subset in subsets[: cases(sample=60, campaign=len(subsets))]:
        shutil.rmtree(settings.home)
        shutil.copytree(tmp_path / "kept", settings.home, symlinks=True)
        remove(settings, subset)
        signs = {*SIGNS} - {*subset}
        lost = "journal" in subset and bool(signs)
        assert bool(starts(settings)) == lost, f"seed {SEED}, removed: {subset}"
        assert bool(starts(settings)) == lost, f"once more; seed {SEED}, removed: {subset}"


@pytest.mark.parametrize("names", [(name,) for name in SIGNS] + [("journal", "decisions"), ("journal",), SIGNS])
def test_what_is_emptied_is_as_good_as_gone(names: tuple[str, ...], settings: Settings) -> None:
    lived(settings)
    for name in names:
        for path in everything(settings)[name]:
            if path.exists():
                path.write_bytes(b"")
    open_journal(settings).close()
    active = home.kill_switch(settings).state().active
    assert bool(home.lost_state(settings).pending) == ("journal" in names)
    assert active == bool({"journal", "kill switch"} & {*names}), "an empty latch is active: it fails closed"


def test_known_failure_25_moving_the_state_folder_away_lifts_no_kill_and_begins_no_new_account(
    settings: Settings, settings_file: Path
) -> None:
    lived(settings)
    home.kill_switch(settings).activate("the exchange quotes nonsense", actor="ann")
    state = home.state_dir(settings)
    state.rename(state.with_name("state.away"))
    for _ in range(2):
        assert starts(settings).startswith("the journal is missing or new, though ")
    refused = resume(settings_file)
    assert refused.exit_code != 0
    assert "nightdesk resume --lost-state" in str(refused.exception)
    assert home.kill_switch(settings).state().active

    shutil.rmtree(state)
    state.with_name("state.away").rename(state)
    assert starts(settings) == "", "it was put back"
    assert home.kill_switch(settings).state().reason == "the exchange quotes nonsense"


def test_a_person_lets_it_begin_anew_and_that_is_recorded_and_asked_once(
    settings: Settings, settings_file: Path
) -> None:
    lived(settings)
    shutil.rmtree(home.state_dir(settings))
    said = starts(settings)
    assert resume(settings_file, "--lost-state").exit_code == 0
    assert not home.kill_switch(settings).state().active
    recorded = {entry.event: entry for entry in home.audit_log(settings).entries()}
    assert recorded["state_loss_accepted"].details == {"reason": "a test", "lost": said}
    assert "kill_switch_lifted" in recorded
    assert home.lost_state(settings).pending == ""
    for _ in range(2):
        assert starts(settings) == ""
    assert not home.kill_switch(settings).state().active
    assert not home.lost_state(settings).path.exists()
    remove(settings, ("journal",))
    assert starts(settings), "and lost again it is lost again"
    assert resume(settings_file, "--lost-state").exit_code == 0
    assert "no state is lost" in str(resume(settings_file, "--lost-state").exception)


def test_an_audit_log_that_went_with_the_state_is_renewed_by_the_same_word(
    settings: Settings, settings_file: Path
) -> None:
    lived(settings)
    head = home.audit_log(settings).head()
    anchored = {"audit": {"length": head.length, "digest": head.digest}}
    home.status_file(settings).replace({"retrain": anchored}, now=WallTime(1.0), lifetime_seconds=60)
    shutil.rmtree(home.state_dir(settings))
    assert starts(settings)
    assert resume(settings_file, "--lost-state").exit_code == 0
    events = [entry.event for entry in home.audit_log(settings).entries()]
    assert events == ["audit_log_renewed", "state_loss_accepted", "kill_switch_lifted"]


def keep(settings: Settings, tmp_path: Path, *names: str) -> Callable[[], None]:
    """Keep a copy of some of the state, and return what puts it back."""
    paths = [path for name in names for path in everything(settings)[name] if path.exists()]
    copies = [Path(shutil.copy(path, tmp_path / f"{number}")) for number, path in enumerate(paths)]

    def restore() -> None:
        remove(settings, names)
        for path, copy in zip(paths, copies, strict=True):
            shutil.copy(copy, path)

    return restore


def test_an_older_copy_of_the_journal_is_found_by_the_count_of_starts(settings: Settings, tmp_path: Path) -> None:
    live(settings, hours=range(5))
    restore = keep(settings, tmp_path, "journal")
    live(settings, hours=range(5, 9))
    restore()
    remove(settings, ("decisions", "status file"))
    assert "the journal is a copy from an earlier time" in starts(settings)


@pytest.mark.parametrize("left", ["decisions", "status file"])
def test_an_older_copy_from_within_one_run_is_found_by_what_the_bot_wrote_of_later_candles(
    left: str, settings: Settings, tmp_path: Path
) -> None:
    live(settings, hours=range(5))
    restore = keep(settings, tmp_path, "journal")
    for hour in range(5, 9):
        decide(settings, hour)
    show(settings, 8)
    restore()
    remove(settings, tuple({"decisions", "status file", "note in home", "note beside the models"} - {left}))
    said = starts(settings)
    assert said.startswith("the journal is a copy from an earlier time: it ends 2019-06-01T04:00:00Z, and the bot was")
    live(settings, hours=range(5, 20))
    assert starts(settings) == said, "that it catches up is no answer"


@pytest.mark.parametrize("left", [(), SIGNS, ("note in home",)])
def test_another_bot_s_journal_under_this_one_s_name_is_found_and_its_own_taken_again(
    left: tuple[str, ...], settings_with: Load, tmp_path: Path
) -> None:
    """Homes that were mixed up when they were moved: it counts more starts, and ends later, than this bot ever did."""
    settings, other = settings_with(), settings_with("bot.name=eth")
    live(settings, hours=range(3))
    restore = keep(settings, tmp_path, "journal")
    remove(settings, tuple({"journal", *SIGNS} - {*left}))
    for last in (4, 6, 9):
        live(other, hours=range(last))
    for theirs, ours in zip(everything(other)["journal"], everything(settings)["journal"], strict=True):
        if theirs.exists():
            theirs.rename(ours)
    assert starts(settings) == (
        "the journal is that of another bot (eth): what it holds and has earned is not this one's"
    )
    restore()
    assert starts(settings) == ""


def test_a_newer_journal_that_is_put_back_ends_the_loss_but_not_the_kill(settings: Settings, tmp_path: Path) -> None:
    live(settings, hours=range(5))
    older = keep(settings, tmp_path, "journal")
    (tmp_path / "newer").mkdir()
    live(settings, hours=range(5, 9))
    newer = keep(settings, tmp_path / "newer", "journal")
    older()
    assert starts(settings)
    newer()
    assert starts(settings) == ""
    assert home.kill_switch(settings).state().active, "a person lifts it"


def test_a_decision_that_a_kill_left_ahead_of_the_journal_is_no_loss(settings: Settings) -> None:
    live(settings, hours=range(5))
    decide(settings, 9)  # after a gap in the market, too
    assert starts(settings) == ""


def test_a_bot_of_an_earlier_release_goes_on_and_counts_from_then_on(settings: Settings) -> None:
    lived(settings)
    journal = open_journal(settings)
    journal._connection.execute("DELETE FROM state WHERE key = 'life'")
    journal.close()
    remove(settings, ("note in home", "note beside the models"))
    assert starts(settings) == ""
    remove(settings, ("journal",))
    assert starts(settings)


def test_models_that_were_brought_from_another_machine_say_what_to_do(settings: Settings) -> None:
    lived(settings)
    remove(settings, tuple(name for name in everything(settings) if name not in ("champion", "note beside the models")))
    assert "were they brought from another machine, its state is there" in starts(settings)


def test_another_bot_of_the_same_home_says_nothing_of_this_one(settings_with: Load) -> None:
    lived(settings_with("bot.name=eth", "bot.state_dir=eth"))
    assert starts(settings_with("bot.name=btc")) == ""


@pytest.mark.kills
def test_killed_at_any_moment_of_its_first_starts_it_is_never_taken_for_lost(
    settings_with: Load, tmp_path: Path
) -> None:
    draw = random.Random(SEED)
    modules = (life, bot_journal, files, lost_state)
    for number in range(cases(sample=15, campaign=400)):
        settings = settings_with(f"home={tmp_path / str(number)}")
        for _ in range(2):
            kill_at = draw.randrange(1, 130)
            killed_at(kill_at, modules, lambda chosen=settings: open_journal(chosen).close())  # type: ignore[misc]
        assert starts(settings) == "", f"seed {SEED}, case {number}, last killed at line {kill_at}"


@pytest.mark.kills
def test_killed_at_any_moment_of_finding_a_loss_it_is_found(settings_with: Load, tmp_path: Path) -> None:
    draw = random.Random(SEED + 1)
    modules = (life, bot_journal, files, lost_state)
    for number in range(cases(sample=15, campaign=400)):
        settings = settings_with(f"home={tmp_path / str(number)}")
        lived(settings)
        shutil.rmtree(home.state_dir(settings))
        kill_at = draw.randrange(1, 130)
        killed_at(kill_at, modules, lambda chosen=settings: open_journal(chosen).close())  # type: ignore[misc]
        assert starts(settings), f"seed {SEED}, case {number}, killed at line {kill_at}"


def test_a_bot_that_goes_on_while_it_is_checked_has_lost_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does between two looks must not read as a loss: a person would have it begin anew."""
    live(settings, hours=range(5))
    read = DecisionLog.read

    def read_late(self: DecisionLog, **which: Any) -> Any:
        monkeypatch.setattr(DecisionLog, "read", read)
        live(settings, hours=range(5, 12))
        return read(self, **which)

    monkeypatch.setattr(DecisionLog, "read", read_late)
    assert check_journal(settings) == "0 trades"
    assert life.starts(settings, open_journal(settings)) == 3, "it did go on"
