"""Which alert makes which others needless, and how a rule says so: derived from the catalogue's declarations."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from nightdesk_alerts.catalogue import ALERTS
from nightdesk_alerts.catalogue.declaration import ANY_CRITICAL, AlertDeclaration, AlertRule, Mute, MutedIn


def muted(rule: AlertRule, *, by: AlertRule) -> MutedIn | None:
    """Return where `rule` is muted while `by` fires for the same bot; `None` where people hear of both."""
    if not by.declaration.of_a_bot:
        return None
    if by.declaration is rule.declaration:  # the worse of two limits
        return MutedIn.INHIBITION if by.severity == "critical" and rule.severity in ("warning", "info") else None
    for mute in mutes_of(rule.declaration, among=(by.declaration,)):
        if mute.cause is by.declaration or (mute.cause == ANY_CRITICAL and by.severity == "critical"):
            return mute.where
    return None


def mutes_of(alert: AlertDeclaration, *, among: Iterable[AlertDeclaration] = ALERTS) -> tuple[Mute, ...]:
    """Return everything that mutes an alert, but for its own graver severity: what it names, and what mutes its bot."""
    if alert.never_muted or not alert.of_a_bot:
        return ()
    of_the_bot = (Mute(cause, cause.mutes_its_bot) for cause in among if cause.mutes_its_bot and cause is not alert)
    return (*alert.muted_by, *of_the_bot)


def with_mutes(alert: AlertDeclaration, expression: str, *, among: Iterable[AlertDeclaration] = ALERTS) -> str:
    """Return the expression of an alert's rule with what mutes it there; as it is where nothing does.

    A cause silences only what has not been told: `expression unless (cause unless ALERTS{itself})`. What fires already
    goes on until it is over, so that its end is told, too. Told is told for the bot, whatever the symbol or severity:
    one message is for a bot and an alertname. `among` are the alerts that may mute a whole bot.

    The rule of a cause has to be evaluated before: in the same group above, or in a group that comes first. One whose
    wait is longer than the alert's own comes too late to silence it.
    """
    causes = [mute.cause for mute in mutes_of(alert, among=among) if mute.where is MutedIn.RULE]
    if not causes:
        return expression
    names = "|".join(cause.name for cause in causes if isinstance(cause, AlertDeclaration))
    firing = [_firing(f'alertname=~"{names}"')] if names else []
    if ANY_CRITICAL in causes:
        firing.append(_firing(f'alertname!="{alert.name}"', 'severity="critical"'))
    cause = firing[0] if len(firing) == 1 else _bracketed("\nor\n".join(indent(each, "  ") for each in firing))
    told = _firing(f'alertname="{alert.name}"')
    untold = _bracketed(f"{indent(cause, '  ')}\nunless on (bot)\n{indent(told, '  ')}")
    return f"{_bracketed(expression)}\nunless on (bot)\n{indent(untold, '  ')}"


def _firing(*matchers: str) -> str:
    return f'ALERTS{{{",".join(matchers)},alertstate="firing",bot!=""}}'


def _bracketed(expression: str) -> str:
    inner = indent(expression.strip("\n"), "    ")
    return f"(\n{inner}\n)"
