"""Whether the bot that runs is the one of the settings, and what its exporter says of itself."""

from __future__ import annotations

from nightdesk_core.text import line
from pydantic import BaseModel, ConfigDict

from nightdesk.answers import AnswerError, ask
from nightdesk.bots import Bot, KnownBots
from nightdesk.check.result import SetupError
from nightdesk.settings import Settings

_LONGEST = 200


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Issue(_Part):
    cause: str


class _Candle(_Part):
    symbol: str
    timeframe: str
    received_at: str | None


class _Bot(_Part):
    name: str
    health: str
    issues: list[_Issue]
    candles: list[_Candle]


class _Trading(_Part):
    kill_switch: bool | None


class _Status(_Part):
    """What is looked at of the exporter's `/status`."""

    bot: _Bot
    trading: _Trading


def check_exporter(settings: Settings, known: KnownBots) -> str:
    """Return what runs, how it is, what it follows, and whether a kill would be heard.

    Raises `SetupError` where it does not answer although it lives, is another bot, or is not well.
    """
    name = settings.bot.name
    bot = next((each for each in known.bots if each.name == name and each.alive), None)
    url = _url(settings, bot)
    try:
        status = ask(f"{url}/status", login=settings.bot_login(), trust=settings.bot_trust()).read(_Status)
    except AnswerError as error:
        if bot is None:
            return f"{name} does not run at {url} ({error.reason}): start it, and check again"
        raise SetupError(f"{name} runs, and its exporter at {url} {error.reason}") from None
    if status.bot.name != name:
        raise SetupError(
            f"at {url} the bot {line(status.bot.name)[:_LONGEST]!r} answers, and the settings are about {name!r}: set"
            " bot.name, or the port"
        )
    if status.bot.health == "unhealthy":
        causes = "; ".join(line(issue.cause)[:_LONGEST] for issue in status.bot.issues)
        raise SetupError(f"{name} at {url} is unhealthy: {causes}")
    return f"{name} at {url} is {line(status.bot.health)[:_LONGEST]}; {_followed(status)}; {_heard(status, bot)}"


def _url(settings: Settings, bot: Bot | None) -> str:
    if settings.bot.name in settings.stack.bots:
        return f"{settings.bot.scrape.scheme}://{settings.stack.bots[settings.bot.name]}"
    if bot is not None and bot.url:
        return bot.url.rstrip("/")
    return settings.bot_url


def _followed(status: _Status) -> str:
    if not status.bot.candles:
        return "it follows no candles"
    found = [
        f"{line(each.symbol)[:_LONGEST]} {line(each.timeframe)[:_LONGEST]}"
        + ("" if each.received_at else " (no candle came yet)")
        for each in status.bot.candles
    ]
    return f"it follows {', '.join(found)}"


def _heard(status: _Status, bot: Bot | None) -> str:
    if bot is not None and bot.guards:
        return "its guard lives and hears a kill" + (", which is active" if status.trading.kill_switch else "")
    if status.trading.kill_switch is None:
        return "no guard reports to it: a kill reaches nobody"
    return "its guard reports, and is not among the bots of this machine"
