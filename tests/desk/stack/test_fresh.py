"""`nightdesk run --fresh`: what a replay left is moved out of the way, and what belongs to a real market is not."""

from __future__ import annotations

from nightdesk.settings import Settings
from nightdesk.stack.running import Say, _set_aside

from tests.desk.conftest import Load


def left_behind(settings: Settings, say: Say = lambda _: None) -> list[str]:
    """Put a file into every folder of two sources and of the state, set aside, and return what is still there."""
    home = settings.home
    sandbox = f"bybit%40127.0.0.1%3A{settings.port('exchange')}"
    files = [home / "data" / name / "x.parquet" for name in (sandbox, "bybit")] + [home / "state" / "audit.jsonl"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    _set_aside(settings, say)
    return [str(file.relative_to(home)).replace(sandbox, "sandbox") for file in files if file.exists()]


def test_a_replay_s_data_goes_with_its_state_and_a_real_exchange_s_stays(settings_with: Load) -> None:
    assert left_behind(settings_with()) == ["data/bybit/x.parquet"]


def test_without_a_sandbox_no_data_is_touched(settings_with: Load) -> None:
    assert left_behind(settings_with("sandbox.enabled=false")) == ["data/sandbox/x.parquet", "data/bybit/x.parquet"]


def test_the_newest_replays_are_kept(settings_with: Load) -> None:
    settings = settings_with("retention.replays=2")
    for name in ("20190101T000000Z", "20190102T000000Z", "20190103T000000Z"):
        (settings.home / "old" / name / "state").mkdir(parents=True)
    said: list[str] = []
    left_behind(settings, said.append)
    kept = sorted(path.name for path in (settings.home / "old").iterdir())
    assert [kept[0], len(kept)] == ["20190103T000000Z", 2]
    assert f"{settings.home / 'old' / '20190101T000000Z'} was removed: retention.replays says how many are kept" in said
