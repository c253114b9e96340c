"""The live line of `nightdesk run`: the bot in one line, by what its exporter, the inbox and Alertmanager answer."""

from __future__ import annotations

from collections.abc import Mapping

from nightdesk_core.errors import NightdeskError
from nightdesk_core.text import line
from pydantic import BaseModel, ConfigDict, RootModel

from nightdesk.answers import ask
from nightdesk.passwords import login
from nightdesk.settings import Settings

_LONGEST = 1000
_LONGEST_ALERT = 120


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, protected_namespaces=())


class _Bot(_Strict):
    market_time: str | None


class _Trading(_Strict):
    trading_expected: bool | None
    guard: str | None
    kill_switch: bool | None
    regime: dict[str, str]


class _Model(_Strict):
    version: str | None
    standing: str | None


class _Risk(_Strict):
    equity: float | None
    currency: str
    drawdown_ratio: float | None


class _Status(_Strict):
    """What the line shows of the exporter's `/status`."""

    bot: _Bot
    trading: _Trading
    model: _Model
    risk: _Risk


class _Newest(_Strict):
    last_id: int


class _Message(_Strict):
    title: str


class _Labels(_Strict):
    alertname: str


class _Alert(_Strict):
    labels: _Labels


class _Alerts(RootModel[list[_Alert]]):
    pass


def live_line(settings: Settings) -> str:
    """Return one line on the bot: market time, equity, drawdown, guard, regime, model, last alert.

    It is fit to be shown. Where the bot answers nothing, or not what was expected, it says so instead.
    """
    try:
        status = ask(f"{settings.bot_url}/status", login=settings.bot_login(), trust=settings.bot_trust()).read(_Status)
    except NightdeskError as error:
        return line(f"{settings.bot.name}: cannot be shown: {error}")[:_LONGEST]
    return line(_told(status, last_alert(settings)))[:_LONGEST]


def last_alert(settings: Settings) -> str:
    """Return the newest message in the sandbox's inbox, or what is firing where there is no inbox."""
    try:
        found = _newest_message(settings) if settings.sandbox.enabled else _firing(settings)
    except NightdeskError:
        return "unknown"
    return found[:_LONGEST_ALERT] or "none"


def _newest_message(settings: Settings) -> str:
    url = f"http://{settings.address('inbox')}/api/messages"
    # After the last there can be: only the newest one's number comes, not a thousand messages with their payloads.
    newest = ask(url, parameters={"since_id": 10**14}).read(_Newest).last_id
    answer = ask(f"{url}/{newest}")
    return "" if answer.status == 404 else answer.read(_Message).title  # none yet, or cleared


def _firing(settings: Settings) -> str:
    url = f"http://{settings.address('alertmanager')}/api/v2/alerts"
    alerts = ask(url, parameters={"active": "true"}, login=login(settings, "alertmanager")).read(_Alerts).root
    return ", ".join(sorted({alert.labels.alertname for alert in alerts} - {"Watchdog"}))


def _told(status: _Status, alert: str) -> str:
    bot, trading, model, risk = status.bot, status.trading, status.model, status.risk
    over = " · market closed: the replay is over" if trading.trading_expected is False else ""
    parts = [
        (bot.market_time or "no candle yet").replace("T", " ").replace(":00Z", ""),
        f"equity {_number(risk.equity, ',.2f')} {risk.currency}",
        f"drawdown {_number(risk.drawdown_ratio, '.2%')}",
        f"guard {trading.guard or 'unknown'}" + (" KILLED" if trading.kill_switch else ""),
        f"regime {_regimes(trading.regime)}",
        # The version's end tells models apart; its whole name would fill the line.
        f"model {(model.version or 'none').rpartition('-')[2]}" + (f" {model.standing}" if model.standing else ""),
        f"last alert: {alert}",
    ]
    return " · ".join(parts) + over


def _regimes(by_symbol: Mapping[str, str]) -> str:
    """Return the regime, of several symbols each with what is traded: `BTC ranging, EUR trending_up`."""
    if len(by_symbol) > 1:
        return ", ".join(f"{symbol.partition('/')[0]} {regime}" for symbol, regime in by_symbol.items())
    return next(iter(by_symbol.values()), "unknown")


def _number(value: float | None, style: str) -> str:
    return "unknown" if value is None else format(value, style)
