"""What `nightdesk check` says of files that another user can change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nightdesk.check.files import check_files
from nightdesk.check.result import SetupError
from nightdesk.home import kill_switch, readers_group
from nightdesk_core.settings import SettingsError

from tests.desk.conftest import Load
from tests.other_user import OTHER, must_be_root

WELL = "nobody else can change settings, state or models"


@pytest.mark.parametrize("there", [False, True], ids=["a new home", "one that has state"])
def test_a_home_of_ones_own_is_in_order(there: bool, settings_with: Load, settings_file: Path) -> None:
    settings = settings_with()
    if there:
        kill_switch(settings).activate("a test", actor="ann")
    assert check_files(settings, settings_file) == WELL


@pytest.mark.parametrize("which", ["nightdesk.yml", "home/state/kill_switch.json", "home/models/v1/model.txt", "home"])
def test_what_everybody_can_write_is_named(which: str, settings_with: Load, settings_file: Path) -> None:
    settings = settings_with()
    kill_switch(settings).activate("a test", actor="ann")
    path = settings_file.parent / which
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch()
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(SetupError) as raised:
        check_files(settings, settings_file)
    assert str(raised.value).startswith(f"every user can write {path}. Whoever can change these can lift a kill")


@pytest.mark.parametrize("which", ["nightdesk.yml", "home/state/kill_switch.json", "home/models/champion.json"])
def test_what_belongs_to_somebody_else_is_named(which: str, settings_with: Load, settings_file: Path) -> None:
    must_be_root()
    settings = settings_with()
    kill_switch(settings).activate("a test", actor="ann")
    path = settings_file.parent / which
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.chown(path, OTHER, OTHER)
    with pytest.raises(SetupError, match=rf"{path} belongs to user {OTHER}"):
        check_files(settings, settings_file)


def test_root_may_check_the_bot_of_another_user(settings_with: Load, settings_file: Path) -> None:
    must_be_root()
    settings = settings_with()
    kill_switch(settings).activate("a test", actor="ann")
    for path in (settings.home, *settings.home.rglob("state/**/*"), settings.home / "state"):
        os.chown(path, OTHER, OTHER)
    assert check_files(settings, settings_file) == WELL


def test_a_group_that_there_is_not_is_an_error_that_says_so(settings_with: Load) -> None:
    with pytest.raises(SettingsError, match="this machine has no group nobodys; make it"):
        readers_group(settings_with("bot.group=nobodys"))
