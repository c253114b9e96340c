"""`nightdesk status` and `nightdesk bots`: how a bot is, the verdict first, and which bots there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from nightdesk_core.age import newest
from nightdesk_core.clock import WallTime, iso, system_clock
from nightdesk_core.errors import NightdeskError
from nightdesk_exporter import is_stale
from nightdesk_guard import last_beat
from pydantic import RootModel

from nightdesk import extras, home, terminal
from nightdesk.bots import known_bots
from nightdesk.cli.target import BotName, Target, find_or_new
from nightdesk.terminal import message, say, table

app = typer.Typer()

_YEAR_10000 = 253_402_300_800
_LARGEST_ROUNDED = 100_000.0
"""What is larger is shown in whole units."""


class _Status(RootModel[dict[str, Any]]):
    pass


@app.command()
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is known as it is, in full precision.")] = False,
    bot: BotName = None,
) -> None:
    """Print how a bot is: the verdict first, then all that it reports, requests for a retrain, and what is silenced.

    From its status file; where it has none, from its exporter. Exit code 1 where it does not answer, or a section of
    the file is stale; 6 where there is no such bot.
    """
    target = find_or_new(context, bot)
    now = system_clock()
    content = _content(target, now)
    sections = {name: section for name, section in content.items() if isinstance(section, dict)}
    stale = [name for name, section in sections.items() if is_stale(section, now=now)]
    silent = _silent_since(target, sections, now)
    if not sections and silent is None:
        raise NightdeskError(_nothing_known(target))
    if as_json:
        terminal.document(json.dumps(content, indent=2) + "\n")
    else:
        target.say_which()
        for line in _verdict(target, sections, silent):
            say(line)
        for name, section in sections.items():
            _say_section(name, section, stale=name in stale)
        if target.at_home:
            _say_what_is_not_told(target)
        if target.bot.state_dir is not None:
            for request in home.retrain_requests(target.settings).pending():
                say(f"retrain requested by {request.cause}  ({request.key}, since {iso(request.requested_at)})")
                say(f"  {request.newest_reason}")
    raise typer.Exit(1 if stale or silent is not None else 0)


@app.command()
def bots() -> None:
    """Print every bot that this user has run on this machine: whether it runs, its state folder, where it serves.

    Exporters and guards list themselves when they start. `--bot` of the other commands takes a name or a folder of it.
    """
    found = known_bots()
    rows = [
        (
            bot.name,
            "runs" if bot.alive else "stopped",
            "none" if bot.state_dir is None else ("lives" if bot.guards else "stopped"),
            bot.state_dir or "-",
            bot.status_file or "-",
            (bot.url or "-") if bot.serves else "-",
            ", ".join(map(str, bot.pids)) if bot.alive else "-",
            "-" if bot.started_at is None else iso(bot.started_at),
        )
        for bot in found.bots
    ]
    if rows:
        table(("name", "bot", "guard", "state folder", "status file", "address", "process", "started"), rows)
    else:
        say("no bot of this user is known on this machine")
    for problem in found.problems:
        message(problem)


def _content(target: Target, now: WallTime) -> dict[str, Any]:
    """Return the status file's content; of a bot without one, what its exporter says, nothing where there is none.

    Raises `NightdeskError` where that gives no answer.
    """
    file = home.status_file(target.settings)
    content = file.read()
    if any(isinstance(section, dict) for section in content.values()):
        return content
    url = target.bot.url
    if url is None or not target.bot.serves:
        return {}
    from nightdesk.answers import ask  # loads what asks, which a file needs not

    answer = ask(f"{url}/status", login=target.settings.bot_login(), trust=target.settings.bot_trust())
    if answer.status == 401:
        raise NightdeskError(f"{target.label} runs, and {url} wants a password: set bot.scrape in nightdesk.yml")
    answered = {"updated_at": now.seconds, "stale_after": now.seconds + 1.0}
    return {
        name: {**section, **answered} if isinstance(section, dict) else section
        for name, section in answer.read(_Status).root.items()
    }


def _nothing_known(target: Target) -> str:
    if target.bot.guards:
        return f"{target.label} runs with a guard, and has neither a status file nor an exporter here: nothing is told"
    if target.at_home:
        return f"{home.status_file(target.settings).path} says nothing yet: is the bot running?"
    return f"{target.label} was stopped, and has left no status file"


def _silent_since(target: Target, sections: Mapping[str, Mapping[str, Any]], now: WallTime) -> WallTime | None:
    """Return since when a bot that was not stopped does not answer; `None` where it does, or has said that it ends."""
    section, bot = sections.get("bot", {}), target.bot
    stale = "bot" in sections and is_stale(section, now=now)
    if section.get("running") is False or not (stale or (bot.killed and not bot.alive)):
        return None
    beat = None if bot.state_dir is None else last_beat(bot.state_dir)
    written = _moment(section.get("updated_at"))
    moments = [*([] if beat is None else [beat]), *([] if written is None else [WallTime(written)])]
    return newest(moments, now=now) if moments else now


def _verdict(target: Target, sections: Mapping[str, Mapping[str, Any]], silent: WallTime | None) -> Iterator[str]:
    """Yield the verdict, and what led to it, the gravest first."""
    section = sections.get("bot", {})
    if silent is not None:
        yield f"{target.label}: NOT ANSWERING since {iso(silent)}"
    elif section.get("running") is False:
        by = section.get("stopped_by")
        yield f"{target.label}: STOPPED{f', by {by}' if by else ''}"
    else:
        since = section.get("health_since")
        yield f"{target.label}: {str(section.get('health') or 'unknown').upper()}{f' since {since}' if since else ''}"
    issues = section.get("issues")
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict):
            yield f"  {issue.get('verdict')}: {issue.get('cause')}"


def _say_section(name: str, section: Mapping[str, Any], *, stale: bool) -> None:
    updated = _moment(section.get("updated_at"))
    when = "an unknown time" if updated is None else iso(updated)
    say(f"{name}  ({'STALE since' if stale else 'as of'} {when})")
    unknown = []
    for key, value in section.items():
        if key in ("updated_at", "stale_after", "issues"):
            continue
        if (lines := list(_lines(value))) == [""]:
            unknown.append(key)
            continue
        for number, line in enumerate(lines):
            say(f"  {'' if number else key:28} {line}")
    if unknown:
        say(f"  {'not reported':28} {', '.join(unknown)}")


def _say_what_is_not_told(target: Target) -> None:
    """Print each silence and inhibition of a critical alert."""
    try:
        from nightdesk.silences import look

        for line in look(target.settings).sentences():
            say(line)
    except (NightdeskError, ModuleNotFoundError) as error:
        say(f"whether critical alerts are silenced is not known: {extras.missing(error) or error}", error=True)


def _moment(value: Any) -> float | None:
    """Return the seconds of a moment that can be written; None for anything else in its place."""
    return value if type(value) in (int, float) and 0 <= value < _YEAR_10000 else None


def _lines(value: Any) -> Iterator[str]:
    """Yield a value for people: of a list of records the last ten, a line each; nothing known is an empty line."""
    if isinstance(value, list) and value and all(isinstance(record, dict) for record in value[-10:]):
        for record in value[-10:]:
            yield "  ".join(_brief(field) for field in record.values() if field is not None)
    else:
        yield _brief(value)


def _brief(value: Any) -> str:
    """Return a value in a few words: numbers rounded, and without what is not known."""
    if isinstance(value, dict):
        parts = ((key, _brief(part)) for key, part in value.items())
        return ", ".join(f"{key} {part}" for key, part in parts if part)
    if isinstance(value, list):
        return ", ".join(filter(None, map(_brief, value)))
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _LARGEST_ROUNDED else f"{value:.6g}"
    return "" if value is None else str(value)
