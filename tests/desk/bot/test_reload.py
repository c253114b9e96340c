"""What a running bot takes over of changed settings: only what is safe, and it names the rest."""

from __future__ import annotations

import subprocess
import sys

from nightdesk.bot.reload import SAFE, reload
from nightdesk.settings import Settings


def changed(**sections: object) -> Settings:
    return Settings.model_validate(sections)


def test_what_is_safe_is_taken_over_and_what_is_not_waits() -> None:
    after = changed(
        guard={"cool_down_days": 3},
        trendbot={"entry": {"threshold": 0.7, "breakout_bars": 12}, "symbols": ["ETH/USDT:USDT"]},
        operations={"limits": {"drawdown_warning_ratio": 0.04}},
        stack={"ports": {"bot": 9999}},
    )
    found = reload(Settings(), after)
    assert found.taken == (
        "guard.cool_down_days",
        "operations.limits.drawdown_warning_ratio",
        "trendbot.entry.threshold",
    )
    assert found.waiting == ("stack.ports.bot", "trendbot.entry.breakout_bars", "trendbot.symbols")
    taken = found.settings
    assert (taken.guard.cool_down_days, taken.trendbot.entry.threshold) == (3, 0.7)
    assert taken.operations.limits.drawdown_warning_ratio == 0.04
    assert (taken.trendbot.entry.breakout_bars, taken.trendbot.symbols) == (24, ("BTC/USDT:USDT",))
    assert taken.stack.ports.bot == 8700


def test_settings_that_did_not_change_are_taken_over_as_nothing() -> None:
    found = reload(Settings(), Settings())
    assert (found.taken, found.waiting, found.settings) == ((), (), Settings())


def test_secrets_are_kept_and_no_change_of_them_is_printed() -> None:
    before = changed(operations={"alerts": {"discord_webhook_url": "https://discord.com/api/webhooks/1/secret"}})
    found = reload(before, changed(guard={"cool_down_days": 3}, operations=before.operations.model_dump()))
    assert found.settings.operations.alerts == before.operations.alerts
    assert found.waiting == ()


def test_every_key_that_is_safe_exists() -> None:
    document = Settings().model_dump()
    for path in SAFE:
        section = document
        for part in path.split("."):
            section = section[part]


def test_the_bot_s_process_handles_signals_before_it_loads_the_numbers() -> None:
    code = "import sys, nightdesk.bot.process; print(sorted({'numba', 'ccxt', 'lightgbm'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
