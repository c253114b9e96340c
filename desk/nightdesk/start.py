"""The files that a person's own bot starts from: settings, and a bot that runs as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import yaml
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.disk import reason_of
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.yaml_text import parse_yaml
from nightdesk_core.secrets.secret_settings import refuse_on_command_line
from nightdesk_core.settings import override, validate
from nightdesk_exporter import BotExporter

from nightdesk.settings import Settings

FILES = ("nightdesk.yml", "bot.py")
SERVERS = "prometheus"
"""The folder beside them for what servers need."""

_SETTINGS = """\
# Nightdesk's settings for a bot of your own. `nightdesk settings` prints every key; docs/settings.md explains them.
# Relative paths lie in `home`, and `home` lies beside this file. Nobody but you can read it: it may hold secrets.
"""
_BOT = Template('''\
"""A bot of your own: watched, guarded, and able to wake you. It trades at random on paper until yours takes its place.

`nightdesk kill --reason why` stops its trading, `nightdesk resume` lets it go on.
"""

import random
import time
from pathlib import Path

from nightdesk.settings import load
from nightdesk_exporter import BotExporter
from nightdesk_guard import Guard

SYMBOLS, TIMEFRAME, SIZE = $symbols, $timeframe, 0.1
settings = load(Path(__file__).with_name("nightdesk.yml"))
state = settings.path(settings.bot.state_dir)
money, size, entry = 10_000.0, 0.0, 0.0

with (
    BotExporter(
        settings.bot.name,
        symbols=[(symbol, TIMEFRAME) for symbol in SYMBOLS],
        model=None,  # once you have one, leave this out and call exporter.model("v1", trained_at=...)
        port=settings.port("bot"),
        status_file=settings.path(settings.operations.status_file_path),
        alerting=settings.operations.alerts.alerting(alertmanagers=()),
        alert_spool=state / "alerts.json",
    ) as exporter,
    Guard(state, break_even_win_rate=0.5, reporter=exporter) as guard,
):
    print(exporter.url, flush=True)
    while True:
        exporter.heartbeat()
        with exporter.request("a price"):
            price = random.gauss(30_000, 100)  # your exchange's client
        for symbol in SYMBOLS:
            exporter.candle(symbol, TIMEFRAME, close_time=time.time())
            exporter.decision(symbol)
        exporter.equity(equity := money + size * (price - entry))
        guard.equity(equity, leverage=size * price / equity)
        if size and (guard.must_close or random.random() < 0.3):
            guard.trade(profit=equity - money, risk=size * entry * 0.01)
            exporter.trade(SYMBOLS[0], profit=equity - money)
            money, size = equity, 0.0
        elif not size:
            blocked = guard.blocked
            exporter.signal(SYMBOLS[0], blocked or "entered")
            size, entry = 0.0 if blocked else SIZE * guard.size_multiplier, price  # a market order
        exporter.position(SYMBOLS[0], "long" if size else None, size_ratio=size * price / money)
        guard.wait(1)
''')


class StartError(NightdeskError):
    """Nothing was written; the message says why."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a person says of the bot. `alerts` are keys of `operations.alerts`."""

    bot: str
    symbols: tuple[str, ...]
    timeframe: str
    port: int
    alerts: Mapping[str, object] = field(default_factory=dict)


def alert_values(assignments: Iterable[str]) -> dict[str, object]:
    """Return keys of `operations.alerts` and their values, as `KEY=VALUE` has them, the value in YAML.

    Raises `SettingsError` where one holds a secret: whoever lists the machine's processes would read it.
    """
    found = list(assignments)
    refuse_on_command_line(Settings, [f"operations.alerts.{each}" for each in found])
    values: dict[str, object] = override({}, found)
    return {key: str(Path(str(value)).absolute()) if key.endswith("_file") else value for key, value in values.items()}


def write_start(start: Start, folder: Path) -> None:
    """Write `FILES` to a folder.

    Raises `StartError`, `SettingsError` or `ExporterError`, and has written nothing then.
    """
    contents = {"nightdesk.yml": _settings_text(start), "bot.py": _bot_text(start)}
    if there := [
        name for name in (*contents, "prometheus") if (folder / name).exists() or (folder / name).is_symlink()
    ]:
        raise StartError(f"{folder / there[0]} is there already, and nothing is overwritten: name another folder")
    try:
        for name, text in contents.items():
            write_atomic(folder / name, text.encode(), readers="owner")
    except OSError as error:
        raise StartError(f"{error.filename or folder} cannot be written ({reason_of(error)})") from error


def _settings_text(start: Start) -> str:
    if not start.bot.strip() or not start.symbols or not all(map(str.strip, start.symbols)):
        raise StartError("a bot has a name, and follows at least one symbol")
    document = {
        "home": "var",
        "bot": {"name": start.bot},
        "sandbox": {"enabled": False},
        "operations": {"alerts": dict(start.alerts)},
        "stack": {"bots": {start.bot: f"127.0.0.1:{start.port}"}, "ports": {"bot": start.port}},
    }
    text = _SETTINGS + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    validate(Settings, parse_yaml(text, source="the answers"), source="the answers")
    return text


def _bot_text(start: Start) -> str:
    # It refuses what it cannot follow; entered, it would serve.
    BotExporter(start.bot, symbols=[(symbol, start.timeframe) for symbol in start.symbols])
    return _BOT.substitute(symbols=repr(list(start.symbols)), timeframe=repr(start.timeframe))
