"""What lies on the disk is bounded or named, and what anybody adds is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightdesk.check.machine import check_growth
from nightdesk.growth import KEPT, OTHERS, measure, purpose_of
from nightdesk.reference import sections
from nightdesk.settings import Settings

from tests.desk.conftest import Load


def written(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def what(settings: Settings, path: str) -> str:
    found = purpose_of(settings.path(Path(path)), settings)
    return OTHERS if found is None else found.what


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("state/btc-decisions.jsonl", "decisions"),
        ("state/btc-decisions.jsonl.000012.gz", "decisions"),
        ("state/btc-decisions.jsonl.000012.gz.damaged-2019-10-17T090000Z", "set aside as damaged"),
        ("state/btc.sqlite-wal", "journal"),
        ("state/audit.jsonl.torn", "audit log"),
        ("models/v20190101T000000Z-00000000/returns.csv", "models"),
        ("logs/.bot_status.json.abc.part", "half-written files"),
        ("logs/bot.2019-10-17_09-00-00_000000.jsonl", "logs of bot and job"),
        ("old/20190101T000000Z/state/audit.jsonl", "earlier replays"),
        ("passwords/lock", "of a fixed size"),
        ("passwords/prometheus_password", "of a fixed size"),
        ("state/new.jsonl", OTHERS),
        ("state/eth-decisions.jsonl", OTHERS),
        ("logs/new.csv", OTHERS),
        ("new/file", OTHERS),
    ],
)
def test_each_file_has_one_purpose_and_a_new_one_has_none(settings_with: Load, path: str, expected: str) -> None:
    assert what(settings_with(), path) == expected


def test_folders_of_the_settings_are_followed_whatever_their_names(settings_with: Load, tmp_path: Path) -> None:
    settings = settings_with(f"bot.state_dir={tmp_path}/[a]*", "bot.name=eth", "bot.models_dir=m?dels")
    written(tmp_path / "[a]*" / "eth.sqlite", 100)
    written(tmp_path / "[a]*" / "else", 10)
    written(settings.home / "m?dels" / "champion.json", 1000)
    assert measure(settings) == {"models": 1000, "journal": 100, OTHERS: 10}


def test_check_says_what_takes_how_much_room(settings_with: Load) -> None:
    settings = settings_with()
    written(settings.home / "state" / "btc-decisions.jsonl", 2_000_000)
    written(settings.home / "state" / "btc-decisions.jsonl.000001.gz", 340_000)
    written(settings.home / "state" / "audit.jsonl", 40)
    written(settings.home / "odd", 60_000)
    (settings.home / "link").symlink_to("odd")
    assert check_growth(settings) == "2.4 MB in all; decisions 2.3 MB; other files 0.1 MB"


def test_each_setting_that_the_list_names_is_one() -> None:
    keys = {f"{section.path}.{name}" for section in sections() for name in section.model.model_fields}
    assert {key for kept in KEPT for key in kept.settings} <= keys
    bounds = {key for key in keys if key.startswith("retention.")}
    assert bounds <= {key for kept in KEPT for key in kept.settings}
