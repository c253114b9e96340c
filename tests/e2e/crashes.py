"""Kills the bot at random points, again and again: `python -m tests.e2e.crashes SETTINGS SECONDS KILLS SEED`.

Everything is imported once, and each bot is a fork of that: so it is there within a tenth of a second, and the kills
fall on its work rather than on its start. Prints how many fell. The last bot is left running until its parent ends.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import nightdesk_trendbot.live.bot
from nightdesk import settings
from nightdesk.bot.process import trade

from tests.e2e.conftest import our_share

assert nightdesk_trendbot.live.bot is not None


def start(settings_file: Path) -> int:
    """Fork a bot and return its process id."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(trade(lambda: settings.load(settings_file)))
        finally:
            os._exit(1)
    return child


def let_pass(seconds: float) -> None:
    """Sleep for as much of a bot's work as it does in so many seconds: on a busy machine it would never get to it."""
    passed = 0.0
    while passed < seconds:
        share, begun = our_share(), time.monotonic()
        time.sleep(min(0.05, (seconds - passed) / share))
        passed += (time.monotonic() - begun) * share


def main(settings_file: Path, longest_seconds: float, kills: int, seed: int) -> None:
    """Kill a bot `kills` times, each within `longest_seconds` of its start; leave the last to go on until SIGTERM.

    Those seconds pass slowly on a busy machine.
    """
    chosen = random.Random(seed)
    for number in range(kills):
        bot = start(settings_file)
        let_pass(chosen.uniform(0.02, longest_seconds))
        ended, _ = os.waitpid(bot, os.WNOHANG)
        if ended:
            sys.exit(f"bot {number} ended by itself")
        os.kill(bot, signal.SIGKILL)
        os.waitpid(bot, 0)
    print(kills, flush=True)
    bot = start(settings_file)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(bot, signal.SIGKILL))
    os.waitpid(bot, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
