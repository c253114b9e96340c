"""What lies on the disk: every file that bot, job and servers write, what it grows by, and what bounds it.

`check` measures by this list, and docs/settings.md shows it. A file that it does not name is one that nobody has
bounded.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nightdesk_core.files.durable import KEPT_ASIDE

from nightdesk.settings import Settings

OTHERS = "other files"


@dataclass(frozen=True)
class Kept:
    """Files of one purpose. The measures are of one symbol with candles of an hour, where nothing else is said."""

    what: str
    files: tuple[str, ...]
    """Patterns; `*` stands for folders as well, and a name in braces for a folder of the settings, or the bot."""
    grows: str
    kept: str
    settings: tuple[str, ...] = ()


KEPT = (
    Kept(
        "set aside as damaged",
        ("*.damaged-*",),
        "a copy each time that something was damaged",
        f"the newest {KEPT_ASIDE} of each file",
    ),
    Kept(
        "half-written files",
        ("*/.*.part",),
        "one for each kill amid a write",
        "removed after an hour, at the next start of bot or job",
    ),
    Kept(
        "decisions",
        ("{state}/{bot}-decisions.jsonl", "{state}/{bot}-decisions.jsonl.*.gz"),
        "330 bytes a candle, 2.9 MB a year; packed in parts of 2 MB, 0.13 MB a year",
        "the newest, by size",
        ("retention.decisions_megabytes",),
    ),
    Kept(
        "journal",
        ("{state}/{bot}.sqlite", "{state}/{bot}.sqlite-*"),
        "equity, 0.2 MB a year (11 MB with candles of a minute), and 200 bytes a trade or change of the guard's state;"
        " its log takes up to 4 MB",
        "trades, shadow trades and the guard's changes for ever; the newest 5,000 candles of a symbol that were set"
        " aside, and 1,000 orders of an operator; equity for ever at each day's end (9 KB a year), and"
        " at each candle for a time",
        ("retention.equity_days",),
    ),
    Kept(
        "audit log",
        ("{state}/audit*",),
        "3 KB a retrain and 300 bytes an event, 40 KB a year",
        "for ever: it is one chain",
    ),
    Kept(
        "trials",
        ("{state}/trials.jsonl",),
        "4 KB a candidate, 50 KB a year",
        "for ever: what was tried stays tried, or luck would pass for skill",
    ),
    Kept(
        "models",
        ("{models}/*",),
        "0.2 MB a retrain, 2 MB a year",
        "the newest, and all of a time; always the champion and the one before it",
        ("retrain.keep_models", "retrain.keep_models_days"),
    ),
    Kept(
        "candles",
        ("{data}/*",),
        "22 bytes a candle, 0.2 MB a year (12 MB with candles of a minute)",
        "for ever: an exchange may not have them any more",
    ),
    Kept(
        "logs of bot and job",
        ("{home}/logs/*.jsonl",),
        "a line an event",
        "the newest, by size, for each program",
        ("operations.logs.rotation_megabytes", "operations.logs.keep_files"),
    ),
    Kept(
        "output of the services",
        ("{home}/logs/*.log", "{home}/logs/*.log.*", "{home}/logs/supervisord.out"),
        "what they print",
        "30 MB for each service",
    ),
    Kept(
        "Prometheus",
        ("{home}/prometheus/*",),
        "12 MB a day",
        "the newest, by age and by size; with it comes what is not yet packed, some 100 MB",
        ("retention.prometheus_days", "retention.prometheus_megabytes"),
    ),
    Kept(
        "Alertmanager, Pushgateway, Grafana",
        ("{home}/alertmanager/*", "{home}/pushgateway/*", "{home}/grafana/*"),
        "an entry an alert",
        "Alertmanager's for 120 hours; the others hold what is there now",
    ),
    Kept(
        "the sandbox's inbox",
        ("{sandbox}/inbox.jsonl",),
        "2 KB a message",
        "the newest 1,000 to 2,000",
    ),
    Kept(
        "earlier replays",
        ("{home}/old/*",),
        "all of a replay for each `run --fresh`",
        "the newest",
        ("retention.replays",),
    ),
    Kept(
        "of a fixed size",
        (
            "*.lock",
            *(f"{{state}}/{name}.json" for name in ("alerts", "alerts-retrain", "retrain", "retrain_requests")),
            *(
                f"{{state}}/{name}"
                for name in ("kill_switch.json", "KILL", "guard_resume.json", "guard_memory.json", "presence.json")
            ),
            "{state}/close_orders.json",
            "{state}/state_lost.json",
            "{state}/moved_chats.json",
            "{home}/life/*",
            "{status}",
            "{passwords}/*_password",
            "{passwords}/lock",
            "{metrics}/*.prom",
            *(f"{{sandbox}}/{name}" for name in ("replay.json", "shocks.json", "inbox-*.pem")),
            *(f"{{home}}/{name}/*" for name in ("rendered", "run", "cache", "tools")),
        ),
        "nothing: switch, orders, spool, passwords, status file, what the servers are configured with,"
        " tools, sample candles",
        "as it is now",
    ),
)
"""The first that has a pattern for a file counts."""


def measure(settings: Settings) -> dict[str, int]:
    """Return how many bytes the files of each purpose take, the largest first; what nobody has named is `OTHERS`."""
    found: dict[str, int] = {}
    for path, size in _files(settings):
        purpose = purpose_of(path, settings)
        name = OTHERS if purpose is None else purpose.what
        found[name] = found.get(name, 0) + size
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def purpose_of(path: Path, settings: Settings) -> Kept | None:
    """Return what a file is, `None` where none of the list names it."""
    return next((kept for kept in KEPT if any(_is_of(path, pattern, settings) for pattern in kept.files)), None)


def table() -> str:
    """Return the list in Markdown."""
    rows = [
        f"| {kept.what}: {', '.join(f'`{pattern}`' for pattern in kept.files)} | {kept.grows} | {kept.kept} "
        f"| {', '.join(f'`{key}`' for key in kept.settings) or '-'} |"
        for kept in KEPT
    ]
    return "\n".join(["| files | grow by | kept | setting |", "|---|---|---|---|", *rows, ""])


def _is_of(path: Path, pattern: str, settings: Settings) -> bool:
    return fnmatchcase(str(path), pattern.format_map(_folders(settings)))


def _folders(settings: Settings) -> dict[str, str]:
    places = {
        "home": settings.home,
        "state": settings.path(settings.bot.state_dir),
        "models": settings.path(settings.bot.models_dir),
        "data": settings.path(settings.trendbot.data_dir),
        "metrics": settings.path(settings.retrain.textfile_dir),
        "passwords": settings.path(settings.stack.passwords_dir),
        "sandbox": settings.path(settings.sandbox.state_dir),
        "status": settings.path(settings.operations.status_file_path),
    }
    return {"bot": settings.bot.name, **{name: glob.escape(str(place)) for name, place in places.items()}}


def _files(settings: Settings) -> Iterator[tuple[Path, int]]:
    """Yield every regular file with its bytes; what goes while it is looked at is passed over."""
    roots = [settings.home, *(settings.path(path) for path in (settings.bot.state_dir, settings.bot.models_dir))]
    roots.append(settings.path(settings.trendbot.data_dir))
    outside = [root for root in roots[1:] if not root.is_relative_to(settings.home)]
    for root in dict.fromkeys([settings.home, *outside]):
        for folder, _, names in os.walk(root):
            for path in (Path(folder, name) for name in names):
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield path, status.st_size
